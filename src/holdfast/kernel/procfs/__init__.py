"""One file per /proc format: bytes in, values out; what it does not know it keeps."""
