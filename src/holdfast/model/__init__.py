"""WORDS: frozen values that all rooms share; standard library only, no input or output."""
