"""From bytes to an upright RGB image in bounded work, or a sentence that says why not."""
