package catalogtable_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/catalogtable"
	"stedi-lakehouse/internal/cdktest"
	"stedi-lakehouse/internal/contract"
)

func TestMain(m *testing.M) { os.Exit(cdktest.Main(m)) }

var landing = contract.Contract{
	Table: "shoe_landing", Description: "Shoes as delivered.", Source: "shoe", Zone: contract.Landing, Format: contract.JSON,
	Key: []string{"id"},
	Columns: []contract.Column{
		{Name: "id", Type: "string", Field: "ID", Required: true, Since: 1, Description: "Number."},
		{Name: "wornsince", Type: "bigint", Field: "worn-since", Since: 1, Description: "Time."},
		{Name: "size", Type: "int", Since: 2, Description: "Size."},
	},
}

var trusted = contract.Contract{
	Table: "shoe_trusted", Description: "Shoes.", Source: "shoe", Zone: contract.Trusted, Format: contract.Iceberg,
	Key:     []string{"id"},
	Columns: []contract.Column{{Name: "id", Type: "string", Required: true, Since: 1, Description: "Number."}},
}

func lake(stack awscdk.Stack) awss3.IBucket {
	return awss3.Bucket_FromBucketName(stack, jsii.String("Lake"), jsii.String("lake-bucket"))
}

func synthesize(t *testing.T, props catalogtable.Props) cdktest.Template {
	t.Helper()
	stack := cdktest.NewStack(t)
	props.Database, props.Lake = "shop", lake(stack)
	catalogtable.New(stack, "Table", props)
	return cdktest.Synthesize(t, stack)
}

func TestLandingTable(t *testing.T) {
	template := synthesize(t, catalogtable.Props{Contract: landing})
	template.Has("AWS::Glue::Table", map[string]any{
		"CatalogId":            map[string]any{"Ref": "AWS::AccountId"},
		"DatabaseName":         "shop",
		"OpenTableFormatInput": assertions.Match_Absent(),
		"TableInput": map[string]any{
			"Name":          "shoe_landing",
			"Description":   "Shoes as delivered.",
			"TableType":     "EXTERNAL_TABLE",
			"PartitionKeys": []any{},
			"StorageDescriptor": map[string]any{
				"Location": "s3://lake-bucket/shoe/landing/",
				"Columns": []any{
					map[string]any{"Name": "id", "Type": "string", "Comment": "Number."},
					map[string]any{"Name": "wornsince", "Type": "bigint", "Comment": "Time."},
					map[string]any{"Name": "size", "Type": "int", "Comment": "Size."}, // since 2: landing tables follow the contract
				},
				"SerdeInfo": map[string]any{
					"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
					"Parameters": assertions.Match_ObjectEquals(&map[string]any{
						"case.insensitive": "true", "ignore.malformed.json": "true", "use.null.for.invalid.data": "true",
						"mapping.wornsince": "worn-since",
					}),
				},
			},
		},
	})
	template.HasResource("AWS::Glue::Table", map[string]any{"DeletionPolicy": "RetainExceptOnCreate"})
}

func TestCreateStatement(t *testing.T) {
	want := "create external table if not exists `shop`.`shoe_landing` (\n  `id` string,\n  `wornsince` bigint,\n  `size` int\n)\n" +
		`row format serde 'org.openx.data.jsonserde.JsonSerDe'
with serdeproperties ('case.insensitive' = 'true', 'ignore.malformed.json' = 'true', 'mapping.wornsince' = 'worn-since', 'use.null.for.invalid.data' = 'true')
stored as inputformat 'org.apache.hadoop.mapred.TextInputFormat'
outputformat 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
location 's3://lake-bucket/shoe/landing/'
tblproperties ('classification' = 'json')`
	if got := catalogtable.CreateStatement(landing, "shop", "lake-bucket"); got != want {
		t.Errorf("statement is\n%s\nwant\n%s", got, want)
	}
	cdktest.Panics(t, func() { catalogtable.CreateStatement(trusted, "shop", "lake-bucket") }, `format of table shoe_trusted is "iceberg", want "json"`)
}

func TestIcebergTable(t *testing.T) {
	template := synthesize(t, catalogtable.Props{Contract: trusted, DeleteWithTheLake: true})
	template.Has("AWS::Glue::Table", map[string]any{
		"OpenTableFormatInput": map[string]any{"IcebergInput": map[string]any{"MetadataOperation": "CREATE", "Version": "2"}},
		// Equal, not alike: nothing that may change is allowed in here.
		"TableInput": assertions.Match_ObjectEquals(&map[string]any{
			"Name":      "shoe_trusted",
			"TableType": "EXTERNAL_TABLE",
			"StorageDescriptor": map[string]any{
				"Location": "s3://lake-bucket/shoe/trusted/",
				"Columns":  []any{map[string]any{"Name": "id", "Type": "string"}},
			},
		}),
	})
	template.HasResource("AWS::Glue::Table", map[string]any{"DeletionPolicy": "Delete"})
}

// An update of an Iceberg table by CloudFormation breaks it, so nothing that contracts may change reaches its template.
func TestIcebergTemplateIsFrozen(t *testing.T) {
	before := text(t, synthesize(t, catalogtable.Props{Contract: trusted}))
	changed := trusted
	changed.Description = "Shoes, described better."
	changed.Columns = []contract.Column{
		{Name: "id", Type: "string", Required: true, Since: 1, Description: "Number, described better."},
		{Name: "colour", Type: "string", Since: 2, Description: "Colour."},
	}
	if after := text(t, synthesize(t, catalogtable.Props{Contract: changed})); after != before {
		t.Errorf("a column since 2 and other descriptions change the template of an Iceberg table\nbefore: %s\nafter:  %s", before, after)
	}
}

func text(t *testing.T, template cdktest.Template) string {
	t.Helper()
	tables, err := json.Marshal(template.Resources("AWS::Glue::Table"))
	if err != nil {
		t.Fatal(err)
	}
	return string(tables)
}

func TestMisuse(t *testing.T) {
	stack := cdktest.NewStack(t)
	wrong := trusted
	wrong.Format = "parquet"
	cdktest.Panics(t, func() { catalogtable.New(stack, "Table", catalogtable.Props{Contract: wrong, Lake: lake(stack)}) },
		"catalogtable Table", `format of table shoe_trusted is "parquet", want "json" or "iceberg"`)
}
