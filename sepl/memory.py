"""The memory that tensors lie in: kept for the next ones on a CPU, given back on a GPU when it has run out."""

import ctypes
import gc

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt(3)
_LARGEST_KEPT = 2**30
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """From here on this process reuses the memory of freed tensors, instead of giving it back and asking for it again.

    By default glibc returns every block above 32 MiB as soon as it is freed, and the system hands out the next one page
    by page, each page cleared and faulted in: in a forward pass on a CPU a third of the time goes there. The process
    then stays as large as it once was. Does nothing where the C library is not glibc or another allocator is in place.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # macOS, musl
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _NEVER)


def free_memory() -> None:
    """Of tensors that nothing holds any more: for others on the same GPU, and for larger ones."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
