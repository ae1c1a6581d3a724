"""A small lake in the embedded AWS for the tests of its Athena."""

import gzip
import json

import pyarrow as pa
from embedded import EmbeddedAWS
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table
from pyiceberg.types import BooleanType

DATABASE, BUCKET, RESULTS = "queries", "queries-lake", "queries-results"
LENIENT = {"ignore.malformed.json": "true", "use.null.for.invalid.data": "true"}
COLUMNS = [("customername", "string"), ("lastupdatedate", "bigint"), ("distance", "int"), ("x", "double"), ("late", "string")]


def make(aws: EmbeddedAWS) -> Table:
    """JSON tables, and an Iceberg table with three versions, the last of which also has a column that the first files lack."""
    s3, glue = aws.client("s3"), aws.client("glue")
    for bucket in (BUCKET, RESULTS):
        s3.create_bucket(Bucket=bucket)
    location = {"OutputLocation": f"s3://{RESULTS}/out/"}
    aws.client("athena").create_work_group(Name="queries", Configuration={"ResultConfiguration": location})
    glue.create_database(DatabaseInput={"Name": DATABASE})
    for table in ("people_landing", "empty_landing", "strict_landing", "lenient_landing"):
        storage = {
            "Location": f"s3://{BUCKET}/{table}/",
            "Columns": [{"Name": name, "Type": data_type} for name, data_type in COLUMNS],
            "SerdeInfo": {
                "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
                "Parameters": {} if table == "strict_landing" else LENIENT,
            },
        }
        glue.create_table(DatabaseName=DATABASE, TableInput={"Name": table, "StorageDescriptor": storage})
    lines = [
        {"customerName": 'Ö\'Neil "A"', "lastUpdateDate": 1655563258079, "distance": 7, "x": 0.5},
        {"customerName": "B", "lastUpdateDate": 1655563258080, "distance": "far"},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    s3.put_object(Bucket=BUCKET, Key="people_landing/a.json", Body=body)
    s3.put_object(Bucket=BUCKET, Key="people_landing/b.json.gz", Body=gzip.compress(b'{"CUSTOMERNAME": "C", "x": -1e-7}\n'))
    for table in ("strict_landing", "lenient_landing"):
        s3.put_object(Bucket=BUCKET, Key=f"{table}/broken.json", Body=b'{"x": 1}\n{"customerName": "Secret\n')

    access = {"access-key-id": "test", "secret-access-key": "test", "region": "us-east-1", "endpoint": aws.endpoint}
    catalog = load_catalog(
        "glue", type="glue", **{f"{service}.{name}": value for service in ("glue", "s3") for name, value in access.items()}
    )
    first = pa.table({"user": ["a", "b", "c"], "timestamp": [3, 2, 1], "x": [1.0, 2.5, None]})
    table = catalog.create_table((DATABASE, "readings_trusted"), first.schema, location=f"s3://{BUCKET}/readings")
    table.append(first)
    table.delete("user = 'b'")
    with table.update_schema() as schema:
        schema.add_column("flag", BooleanType())
    table.append(pa.table({"user": ["d"], "timestamp": [9], "x": [0.1], "flag": [True]}))
    return table
