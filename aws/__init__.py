"""The calls to AWS that several packages share, and what its errors mean."""
