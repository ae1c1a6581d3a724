from dataclasses import replace

import pytest
from lakehouse import contracts, tables
from lakehouse.errors import LakehouseError
from support import create_table

STEPS = contracts.load("step_trainer_trusted")
SAMPLES = contracts.load("accelerometer_trusted")
NAME = "glue_catalog.reconcile.t"


@pytest.fixture
def make(spark):
    spark.sql("create namespace glue_catalog.reconcile")

    def make(contract, **other):
        create_table(spark, NAME, contract, **other)

    yield make
    spark.sql(f"drop table if exists {NAME} purge")
    spark.sql("drop namespace glue_catalog.reconcile")


def metadata_versions(spark):
    return spark.table(f"{NAME}.metadata_log_entries").count()


def with_column(contract, **column):
    added = contracts.Column(**{"field": column["name"], "since": 2, **column})
    return replace(contract, columns=(*contract.columns, added))


def test_new_table_gets_the_properties_writers_rely_on(spark, make):
    make(STEPS)
    table = tables.reconcile(spark, NAME, STEPS)
    assert table.snapshot_id is None
    wanted = {
        "write.delete.mode": "copy-on-write",
        "write.update.mode": "copy-on-write",
        "write.merge.mode": "copy-on-write",
        "write.parquet.compression-codec": "zstd",
        "write.metadata.metrics.column.serialnumber": "none",
        "format-version": "2",
    }
    assert {key: table.properties.get(key) for key in wanted} == wanted
    assert "write.metadata.metrics.column.sensorreadingtime" not in table.properties


def test_second_time_changes_nothing(spark, make):
    make(STEPS)
    first = tables.reconcile(spark, NAME, STEPS)
    versions = metadata_versions(spark)
    assert tables.alterations(first, STEPS) == []
    assert tables.reconcile(spark, NAME, STEPS) == first
    assert metadata_versions(spark) == versions


def test_new_column_is_added_with_its_description(spark, make):
    make(STEPS)
    contract = with_column(STEPS, name="note", type="double", description="The device's \\own\\ note.")
    table = tables.reconcile(spark, NAME, contract)
    assert table.schema["note"].dataType.simpleString() == "double"
    assert table.schema["note"].metadata["comment"] == "The device's \\own\\ note."


def test_format_version_1_is_raised(spark, make):
    spark.sql(f"create table {NAME} (sensorreadingtime bigint) using iceberg tblproperties ('format-version' = '1')")
    assert tables.reconcile(spark, NAME, STEPS).properties["format-version"] == "2"


def test_other_type_is_an_error(spark, make):
    make(replace(STEPS, columns=tuple(replace(c, type="string") if c.name == "distancefromobject" else c for c in STEPS.columns)))
    with pytest.raises(LakehouseError, match=f"{NAME}: column distancefromobject has type string, the contract says int"):
        tables.reconcile(spark, NAME, STEPS)


def test_column_without_contract_is_an_error(spark, make):
    make(with_column(STEPS, name="stray", type="int"))
    with pytest.raises(LakehouseError, match=f"{NAME}: column stray is not in the contract of step_trainer_trusted"):
        tables.reconcile(spark, NAME, STEPS)


@pytest.mark.parametrize("name", ["glue_catalog.reconcile.missing", "glue_catalog.nowhere.t"])
def test_missing_table_is_an_error(spark, make, name):
    with pytest.raises(LakehouseError, match=f"table {name} does not exist: deploy the catalog stack first"):
        tables.reconcile(spark, name, STEPS)


def test_no_bounds_of_personal_values_in_manifests(spark, make):
    make(SAMPLES)
    tables.reconcile(spark, NAME, SAMPLES)
    rows = spark.createDataFrame([("ann@example.com", 5, 1.0, 2.0, 3.0)], SAMPLES.schema)
    rows.writeTo(NAME).append()
    (file,) = spark.table(f"{NAME}.files").select("lower_bounds", "upper_bounds", "readable_metrics").collect()
    bounds = file.readable_metrics
    assert (bounds["user"].lower_bound, bounds["user"].upper_bound) == (None, None)
    assert (bounds["timestamp"].lower_bound, bounds["timestamp"].upper_bound) == (5, 5)
    assert not any(b"ann" in bytes(value) for value in [*file.lower_bounds.values(), *file.upper_bounds.values()])
