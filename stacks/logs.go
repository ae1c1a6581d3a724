package stacks

// Names of the pipeline's log groups begin with one of these and the lake's name.
const (
	jobLogs = "/aws-glue/"
	// Names under /aws/vendedlogs need no resource policy of their own, of which an account has only ten.
	stateMachineLogs = "/aws/vendedlogs/states/"
)
