"""What a program wrote below a folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Written:
    """New and changed files. `data_files`: Parquet; `bytes`: of all of them."""

    data_files: int
    other_files: int
    bytes: int

    def __add__(self, other: "Written") -> "Written":
        return Written(self.data_files + other.data_files, self.other_files + other.other_files, self.bytes + other.bytes)


NOTHING_WRITTEN = Written(0, 0, 0)

Listing = dict[Path, tuple[int, int]]


def listing(folder: Path) -> Listing:
    """Size and modification time of every file. Hidden files (Hadoop's checksums) are no part of a table."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def difference(before: Listing, after: Listing) -> Written:
    new = [path for path, state in after.items() if before.get(path) != state]
    data = sum(path.suffix == ".parquet" for path in new)
    return Written(data, len(new) - data, sum(after[path][0] for path in new))
