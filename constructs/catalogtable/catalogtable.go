// Package catalogtable declares a table of the Glue Data Catalog from its contract.
package catalogtable

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"stedi-lakehouse/internal/contract"
)

// Props of a table.
type Props struct {
	Contract          contract.Contract
	Database          string // name of the Glue database
	Lake              string // name of the lake bucket
	DeleteWithTheLake bool   // false: the table stays when its stack is destroyed
}

// New declares the table: an external table over JSON files, delivered ones or those of a ledger, or an Iceberg table.
// It panics on a format that it does not know.
func New(scope constructs.Construct, id string, props Props) awsglue.CfnTable {
	table := &awsglue.CfnTableProps{
		CatalogId:    awscdk.Aws_ACCOUNT_ID(),
		DatabaseName: jsii.String(props.Database),
	}
	location := fmt.Sprintf("s3://%s/%s/", props.Lake, props.Contract.Prefix())
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
	resource.ApplyRemovalPolicy(removal(props.DeleteWithTheLake), nil)
	return resource
}

// jsonFiles describes newline-delimited JSON. The serde compares keys without regard to case, so customerName fills the column
// customername; a key that differs in more than case is mapped. A line that is not JSON fails a query, it is not hidden.
func jsonFiles(table contract.Contract, location string) *awsglue.CfnTable_TableInputProperty {
	parameters := map[string]string{"case.insensitive": "true"}
	var columns []*awsglue.CfnTable_ColumnProperty
	for _, column := range table.TemplateColumns() {
		if key := strings.ToLower(column.JSONKey()); key != column.Name {
			parameters["mapping."+column.Name] = key
		}
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
			InputFormat:  jsii.String("org.apache.hadoop.mapred.TextInputFormat"),
			OutputFormat: jsii.String("org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"),
			SerdeInfo: &awsglue.CfnTable_SerdeInfoProperty{
				SerializationLibrary: jsii.String("org.openx.data.jsonserde.JsonSerDe"),
				Parameters:           parameters,
			},
		},
	}
}

// frozen describes an Iceberg table by what never changes: name, location and the columns of contract version 1. Any update of
// this resource makes CloudFormation write over what Iceberg keeps in the catalog entry, and the table can no longer be read
// (aws-cloudformation/cloudformation-coverage-roadmap#1919). So no descriptions, no properties, no later columns here: the jobs
// see to those.
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

func removal(deleteWithTheLake bool) awscdk.RemovalPolicy {
	if deleteWithTheLake {
		return awscdk.RemovalPolicy_DESTROY
	}
	return awscdk.RemovalPolicy_RETAIN
}
