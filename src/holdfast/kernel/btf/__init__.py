"""BTF: the types of a kernel, as the kernel itself carries them."""
