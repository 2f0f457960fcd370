"""Colour profiles: which of them matter, and how pixels become those of sRGB.

A network is trained on what people see, and viewers honour profiles. A profile is a stranger's data
that no picture needs: a malformed one is ignored, and never decides against the pixels.
"""
