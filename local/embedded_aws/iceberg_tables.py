"""Iceberg tables declared in a template get their first metadata, as Glue writes it; the emulator ignores the declaration.

Mended the other way too: on AWS any CloudFormation update of such a table erases table_type and metadata_location and breaks
the table (aws-cloudformation/cloudformation-coverage-roadmap#1919). Here it breaks just as much, so that nobody finds out in
production.
"""

import uuid
from urllib.parse import urlparse

from ministack.core.responses import error_response_json
from ministack.services import glue, s3
from ministack.services.cloudformation import provisioners
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import SortOrder
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
)

_TYPES = {
    "string": StringType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "float": FloatType(),
    "boolean": BooleanType(),
    "date": DateType(),
    "timestamp": TimestampType(),
}
_emulator_create_table = glue._create_table


def install() -> None:
    """Put these functions in the place of the emulator's."""
    glue._create_table = create_table
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Glue::Table"]
    handlers["update"] = _breaking_update(handlers["update"])


def create_table(data: dict) -> tuple:
    """CreateTable; with OpenTableFormatInput.IcebergInput the metadata file is written first and the table points at it."""
    iceberg = (data.get("OpenTableFormatInput") or {}).get("IcebergInput")
    if not iceberg:
        return _emulator_create_table(data)
    if iceberg.get("MetadataOperation") != "CREATE":
        return error_response_json("InvalidInputException", "IcebergInput.MetadataOperation must be CREATE", 400)
    table = data["TableInput"]
    try:
        location = _write_metadata(table["StorageDescriptor"], int(iceberg.get("Version", 2)))
    except (KeyError, ValueError) as error:
        return error_response_json("InvalidInputException", f"Iceberg table {table.get('Name')}: {error}", 400)
    parameters = {**table.get("Parameters", {}), "table_type": "ICEBERG", "metadata_location": location}
    return _emulator_create_table({**data, "TableInput": {**table, "TableType": "EXTERNAL_TABLE", "Parameters": parameters}})


def _write_metadata(storage: dict, version: int) -> str:
    location = storage["Location"].rstrip("/")
    fields = []
    for number, column in enumerate(storage["Columns"], start=1):
        if column["Type"] not in _TYPES:
            raise ValueError(f"column {column['Name']} has type {column['Type']}, known are {', '.join(_TYPES)}")
        fields.append(NestedField(number, column["Name"], _TYPES[column["Type"]], required=False, doc=column.get("Comment")))
    metadata = new_table_metadata(
        Schema(*fields), PartitionSpec(), SortOrder(), location, properties={"format-version": str(version)}
    )
    url = urlparse(f"{location}/metadata/00000-{uuid.uuid4()}.metadata.json")
    body = metadata.model_dump_json(by_alias=True, exclude_none=True).encode()
    status, _, answer = s3._put_object(url.netloc, url.path.lstrip("/"), body, {"content-type": "application/json"})
    if status >= 400:
        raise ValueError(f"{url.geturl()} cannot be written: {answer!r}")
    return url.geturl()


def _breaking_update(update):
    def broken(physical_id, old_props, new_props, *rest, **named):
        result = update(physical_id, old_props, new_props, *rest, **named)
        if new_props.get("OpenTableFormatInput"):
            table = glue._tables[f"{new_props['DatabaseName']}/{result[0]}"]
            declared = (new_props.get("TableInput") or {}).get("Parameters") or {}
            table["Parameters"] = {k: v for k, v in declared.items() if k not in ("table_type", "metadata_location")}
        return result

    return broken
