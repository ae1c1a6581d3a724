"""What others than the jobs do to a table: Athena deletes a row by a file that says which one is gone."""

import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.typedef import Record

# As the specification numbers them.
_GONE = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": "2147483546"}),
        pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "2147483545"}),
    ]
)


class _Manifest(ManifestWriterV2):
    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, "content": "deletes"}


class _Deletion(_FastAppendFiles):
    def new_manifest_writer(self, spec):
        return _Manifest(spec, self.schema(), self.new_manifest_output(), self._snapshot_id, self._compression)


def delete(lake, table, **where):
    """Notes rows with that value as gone (position deletes of Iceberg v2). Their data files stay.

    The files that say so do not tell in the manifest which data file they are about, as those that are about several do.
    """
    ((column, value),) = where.items()
    loaded = lake.load(table)
    with loaded.transaction() as change:
        change.set_properties({"write.delete.mode": "merge-on-read"})
        deletion = _Deletion(Operation.OVERWRITE, change, loaded.io)
        for path in sorted(lake.data_files(table)):
            values = parquet.ParquetFile(path.removeprefix("file://")).read([column])[column]
            places = pc.indices_nonzero(pc.equal(values, value)).to_pylist()
            if places:
                deletion.append_data_file(_written(loaded, path, places))
        deletion.commit()


def _written(loaded, path, places):
    place = f"{loaded.location()}/data/{uuid.uuid4()}-deletes.parquet"
    file = Path(place.removeprefix("file://"))
    parquet.write_table(pa.table([pa.array([path] * len(places)), pa.array(places)], schema=_GONE), file)
    made = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=place,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=len(places),
        file_size_in_bytes=file.stat().st_size,
    )
    made.spec_id = 0
    return made
