package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestReadApprovals(t *testing.T) {
	for _, one := range []struct {
		name, text, mistake string
	}{
		{"whole", `{"findings": ["e789b672f038"], "stages": ["prod"], "reason": "Agreed.", "approved_by": "Ada"}`, ""},
		{"the draft, of a finding without stages", approvalDraft([]finding{{Verb: breaks, Where: "`t`", Text: "table is dropped"}}), ""},
		{"no reason", `{"findings": ["e789b672f038"], "stages": ["prod"], "reason": " ", "approved_by": "Ada"}`, "approvals/a.json: findings, reason"},
		{"nobody", `{"findings": ["e789b672f038"], "stages": ["prod"], "reason": "Agreed."}`, "approved_by"},
		{"another key", `{"findings": ["e789b672f038"], "stages": ["prod"], "reason": "Agreed.", "approved_by": "Ada", "all": true}`, "all"},
	} {
		t.Run(one.name, func(t *testing.T) {
			read, err := readApprovals(fstest.MapFS{"approvals/a.json": {Data: []byte(one.text)}})
			if one.mistake == "" {
				if err != nil || len(read) != 1 || read[0].file != "approvals/a.json" {
					t.Errorf("got %v, %v", read, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), one.mistake) {
				t.Errorf("got error %v, want one with %q", err, one.mistake)
			}
		})
	}
}
