// Package catalogtable declares a table of the Glue Data Catalog from its contract.
package catalogtable

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/constructs/removal"
	"stedi-lakehouse/internal/contract"
)

// Props of a table.
type Props struct {
	Contract          contract.Contract
	Database          string // name of the Glue database
	Lake              awss3.IBucket
	DeleteWithTheLake bool // false: the table stays when its stack is destroyed
}

// New declares the table: an external table over JSON files, delivered ones or those of a ledger, or an Iceberg table.
// It panics on a format that it does not know.
func New(scope constructs.Construct, id string, props Props) awsglue.CfnTable {
	table := &awsglue.CfnTableProps{
		CatalogId:    awscdk.Aws_ACCOUNT_ID(),
		DatabaseName: jsii.String(props.Database),
	}
	location := fmt.Sprintf("s3://%s/%s/", *props.Lake.BucketName(), props.Contract.Prefix())
	switch props.Contract.Format {
	case contract.JSON:
		table.TableInput = jsonFiles(props.Contract, location)
	case contract.Iceberg:
		table.TableInput = frozen(props.Contract, location)
		table.OpenTableFormatInput = &awsglue.CfnTable_OpenTableFormatInputProperty{
			IcebergInput: &awsglue.CfnTable_IcebergInputProperty{
				MetadataOperation: jsii.String("CREATE"),
				Version:           jsii.String("2"),
			},
		}
	default:
		panic(fmt.Sprintf("catalogtable %s: format of table %s is %q, want %q or %q",
			id, props.Contract.Table, props.Contract.Format, contract.JSON, contract.Iceberg))
	}
	resource := awsglue.NewCfnTable(scope, jsii.String(id), table)
	resource.ApplyRemovalPolicy(removal.Policy(props.DeleteWithTheLake), nil)
	return resource
}

// How Hive names newline-delimited JSON.
const (
	serde        = "org.openx.data.jsonserde.JsonSerDe"
	inputFormat  = "org.apache.hadoop.mapred.TextInputFormat"
	outputFormat = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
)

// CreateStatement is the Athena statement that makes the catalog entry of a JSON table, for whoever has dropped it: the same table
// as the template's, without the descriptions. It panics on another format: an Iceberg table's statement would make an empty one.
func CreateStatement(table contract.Contract, database, lake string) string {
	if table.Format != contract.JSON {
		panic(fmt.Sprintf("catalogtable: format of table %s is %q, want %q", table.Table, table.Format, contract.JSON))
	}
	var columns, parameters []string
	for _, column := range table.TemplateColumns() {
		columns = append(columns, fmt.Sprintf("  `%s` %s", column.Name, column.Type))
	}
	mapped := serdeParameters(table)
	for _, key := range slices.Sorted(maps.Keys(mapped)) {
		parameters = append(parameters, fmt.Sprintf("'%s' = '%s'", key, mapped[key]))
	}
	return fmt.Sprintf(`create external table if not exists %s.%s (
%s
)
row format serde '%s'
with serdeproperties (%s)
stored as inputformat '%s'
outputformat '%s'
location 's3://%s/%s/'
tblproperties ('classification' = 'json')`, "`"+database+"`", "`"+table.Table+"`", strings.Join(columns, ",\n"), serde,
		strings.Join(parameters, ", "), inputFormat, outputFormat, lake, table.Prefix())
}

// serdeParameters lets the serde fill columns from keys without regard to case, and maps a key that differs in more than case.
func serdeParameters(table contract.Contract) map[string]string {
	parameters := map[string]string{"case.insensitive": "true", "ignore.malformed.json": "true", "use.null.for.invalid.data": "true"}
	for _, column := range table.TemplateColumns() {
		if key := strings.ToLower(column.JSONKey()); key != column.Name {
			parameters["mapping."+column.Name] = key
		}
	}
	return parameters
}

// jsonFiles describes newline-delimited JSON. A line that is not JSON is a row without values, and a value of another type is null: else
// one bad line among all that was delivered would fail every query. The line itself is in the quarantine table after the next run.
func jsonFiles(table contract.Contract, location string) *awsglue.CfnTable_TableInputProperty {
	var columns []*awsglue.CfnTable_ColumnProperty
	for _, column := range table.TemplateColumns() {
		columns = append(columns, &awsglue.CfnTable_ColumnProperty{
			Name:    jsii.String(column.Name),
			Type:    jsii.String(column.Type),
			Comment: jsii.String(column.Description),
		})
	}
	return &awsglue.CfnTable_TableInputProperty{
		Name:        jsii.String(table.Table),
		Description: jsii.String(table.Description),
		TableType:   jsii.String("EXTERNAL_TABLE"),
		Parameters:  map[string]string{"classification": "json"},
		// Athena wants the list, even an empty one.
		PartitionKeys: []any{},
		StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{
			Location:     jsii.String(location),
			Columns:      columns,
			InputFormat:  jsii.String(inputFormat),
			OutputFormat: jsii.String(outputFormat),
			SerdeInfo: &awsglue.CfnTable_SerdeInfoProperty{
				SerializationLibrary: jsii.String(serde),
				Parameters:           serdeParameters(table),
			},
		},
	}
}

// frozen describes an Iceberg table by what never changes: name, location and the columns of contract version 1. Any update of
// this resource makes CloudFormation write over what Iceberg keeps in the catalog entry, and the table can no longer be read
// (aws-cloudformation/cloudformation-coverage-roadmap#1919). So no descriptions, no properties, no later columns here: the jobs
// see to those (tables.reconcile).
func frozen(table contract.Contract, location string) *awsglue.CfnTable_TableInputProperty {
	var columns []*awsglue.CfnTable_ColumnProperty
	for _, column := range table.TemplateColumns() {
		columns = append(columns, &awsglue.CfnTable_ColumnProperty{
			Name: jsii.String(column.Name),
			Type: jsii.String(column.Type),
		})
	}
	return &awsglue.CfnTable_TableInputProperty{
		Name:      jsii.String(table.Table),
		TableType: jsii.String("EXTERNAL_TABLE"),
		StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{
			Location: jsii.String(location),
			Columns:  columns,
		},
	}
}
