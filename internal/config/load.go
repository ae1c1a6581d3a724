package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"stedi-lakehouse/internal/strictjson"
)

// Context keys of cdk.json that belong to this project. Command line: -c stage=NAME -c consentGate=ever.
const (
	StagesKey      = "stages"      // the settings, by stage name
	StageKey       = "stage"       // the chosen stage
	ConsentGateKey = "consentGate" // overrides the stage's consent gate
	DataRemovalKey = "dataRemoval" // overrides what becomes of the stage's data
	// AllowDataRemovalKey is the second switch without which stage prod never removes data: the name of the lake that may go.
	AllowDataRemovalKey = "allowDataRemoval"
)

// Load returns the chosen stage from the app's context: all of cdk.json's and the command line's keys with their values.
// An error says which stage and key is wrong and what is allowed.
func Load(context map[string]any) (Stage, error) {
	if err := checkKeys(context); err != nil {
		return Stage{}, err
	}
	stages, err := decode(context[StagesKey])
	if err != nil {
		return Stage{}, err
	}
	stage, err := choose(stages, context[StageKey])
	if err != nil {
		return Stage{}, err
	}
	if gate, given := context[ConsentGateKey]; given {
		stage.ConsentGate = fmt.Sprint(gate)
	}
	if removal, given := context[DataRemovalKey]; given {
		stage.DataRemoval = fmt.Sprint(removal)
	}
	if mistakes := append(stage.mistakes(), stage.removalMistakes(context[AllowDataRemovalKey])...); len(mistakes) > 0 {
		return Stage{}, errors.Join(mistakes...)
	}
	return stage, nil
}

// checkKeys catches a mistyped -c option, which the CDK would ignore: the CDK's own keys all hold a colon or a slash.
func checkKeys(context map[string]any) error {
	known := []string{StagesKey, StageKey, ConsentGateKey, DataRemovalKey, AllowDataRemovalKey}
	for _, key := range slices.Sorted(maps.Keys(context)) {
		if slices.Contains(known, key) || strings.ContainsAny(key, ":/") || key == "cli-telemetry" {
			continue
		}
		return fmt.Errorf("context key %q is unknown; allowed: %s", key, strings.Join(known, ", "))
	}
	return nil
}

func decode(value any) (map[string]Stage, error) {
	if value == nil {
		return nil, fmt.Errorf("context key %q is missing; want it in cdk.json, with the settings of each stage", StagesKey)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("context key %q: %w", StagesKey, err)
	}
	var stages map[string]Stage
	if err := strictjson.Unmarshal(text, &stages); err != nil {
		return nil, fmt.Errorf("context key %q: %w", StagesKey, err)
	}
	return stages, nil
}

// UnmarshalJSON fills in what is absent. What is given is kept, however wrong, for the validation to name it.
func (j *Jobs) UnmarshalJSON(text []byte) error {
	type plain Jobs // without this method
	jobs := plain{Engine: AutoEngine, SparkFromGiB: defaultSparkFromGiB}
	if err := json.Unmarshal(text, &jobs); err != nil {
		return err
	}
	*j = Jobs(jobs)
	return nil
}

func choose(stages map[string]Stage, name any) (Stage, error) {
	names := strings.Join(slices.Sorted(maps.Keys(stages)), ", ")
	if name == nil {
		return Stage{}, fmt.Errorf("no stage chosen; use -c stage=NAME with one of: %s", names)
	}
	chosen, ok := stages[fmt.Sprint(name)]
	if !ok {
		return Stage{}, fmt.Errorf("stage %q is unknown; allowed: %s", name, names)
	}
	chosen.Name = fmt.Sprint(name)
	return chosen, nil
}
