"""Whether a trial's checkpoint is whole, told without loading it."""

import json

from sepl.errors import StorageError
from sepl.storage import Location

_LAST = "progress.json"  # `sepl.training.engine.checkpoint`, which loads torch, writes it after everything else
_HEADER_BYTES = 8  # safetensors: the header's length, little endian, then the header in JSON, then the numbers


def problem_of_checkpoint(storage: Location, path: str) -> str | None:
    """What is wrong with the checkpoint at `path` in the storage's file system; None of a whole one."""
    place = Location(storage.filesystem, path, path)
    try:
        files = {file.name: file for file in place.list_folder()}
        if not files:
            return f"{path} is gone"
        if _LAST not in files:
            return f"{path} is not whole: no {_LAST}"
        json.loads(files[_LAST].read_bytes())
        tensors = [file for name, file in files.items() if name.endswith(".safetensors")]
        if not tensors:
            return f"{path} is not whole: no tensors"
        cut = [file.name for file in tensors if not _is_whole(file)]
    except (StorageError, ValueError) as problem:
        return f"{path} cannot be read: {problem}"
    return f"{path} is not whole: {', '.join(cut)} cut short" if cut else None


def _is_whole(file: Location) -> bool:
    """Whether the file is as long as its header says."""
    size = file.filesystem.get_file_info(file.path).size
    with file.filesystem.open_input_file(file.path) as stream:
        length = int.from_bytes(stream.read(_HEADER_BYTES), "little")
        if length > size:
            return False
        header = json.loads(stream.read(length))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return size == _HEADER_BYTES + length + max(ends, default=0)
