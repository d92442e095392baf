"""Rows per kernel area: data, no logic. A row without why, source and proof does not exist."""
