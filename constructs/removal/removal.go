// Package removal says what becomes of a resource with a fixed name when its stack goes.
package removal

import "github.com/aws/aws-cdk-go/awscdk/v2"

// Policy of a resource that goes with its stack, or that stays. One that stays goes all the same when CloudFormation rolls back the
// operation that made it: there is nothing in it yet, and under its name it would be in the way of the next attempt. Buckets and the
// key have no fixed names and are in nobody's way; they stay even then.
func Policy(deleteWithStack bool) awscdk.RemovalPolicy {
	if deleteWithStack {
		return awscdk.RemovalPolicy_DESTROY
	}
	return awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
}
