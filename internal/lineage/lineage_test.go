package lineage_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
	"stedi-lakehouse/internal/lineage"
)

const root = "../.."

// project is the contracts and the SELECTs of this project, as files to be changed.
func project(t *testing.T) (contracts, selects fstest.MapFS) {
	t.Helper()
	return files(t, data.Contracts, "contracts"), files(t, os.DirFS(filepath.Join(root, "glue-scripts", "sql")), ".")
}

func files(t *testing.T, from fs.FS, folder string) fstest.MapFS {
	t.Helper()
	copied := fstest.MapFS{}
	err := fs.WalkDir(from, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(from, path)
		copied[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// replace changes the one place of a file that has a text.
func replace(t *testing.T, files fstest.MapFS, file, before, after string) {
	t.Helper()
	text := string(files[file].Data)
	if strings.Count(text, before) != 1 {
		t.Fatalf("%s has %q %d times, want once", file, before, strings.Count(text, before))
	}
	files[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, before, after, 1))}
}

func check(t *testing.T, contracts, selects fstest.MapFS) error {
	t.Helper()
	set, err := contract.Load(contracts)
	if err != nil {
		t.Fatal(err)
	}
	return lineage.Check(filepath.Join(root, ".venv", "bin", "python"), set, selects)
}

func TestProject(t *testing.T) {
	contracts, selects := project(t)
	if err := check(t, contracts, selects); err != nil {
		t.Error(err)
	}
}

func TestMistakes(t *testing.T) {
	const (
		learning = "curated/machine_learning_curated.sql"
		mlTable  = "contracts/machine_learning_curated.json"
	)
	for name, test := range map[string]struct {
		file, before, after string
		want                string
	}{
		"a personal column": {
			learning, "accelerometer_trusted.x,", `accelerometer_trusted."user" as x,`,
			"sql/" + learning + ": column x carries personal data (accelerometer_trusted.user), but machine_learning_curated.json declares the table free of personal data",
		},
		"through an expression": {
			learning, "accelerometer_trusted.x,", "length(concat(subjects.serialnumber, 'x')) + accelerometer_trusted.x as x,",
			"column x carries personal data (customer_curated.serialnumber)",
		},
		"through a subquery and a UNION": {
			learning, "accelerometer_trusted.x,",
			`(select max(e) from (select a.x as e from accelerometer_trusted as a union all select cast(length(a."user") as double) from accelerometer_trusted as a)) as x,`,
			"column x carries personal data (accelerometer_trusted.user)",
		},
		"through a shared SELECT": {
			"curated/subjects.sql", "sha2(email || ' ' || serialnumber, 256) as subject_id", "concat(email, ' ', serialnumber) as subject_id",
			"column subject_id carries personal data (customer_curated.email, customer_curated.serialnumber)",
		},
		"a weaker hash is none": {
			"curated/subjects.sql", "sha2(email || ' ' || serialnumber, 256)", "md5(concat(email, ' ', serialnumber))",
			"column subject_id carries personal data",
		},
		"a pseudonym that is not marked": {
			mlTable, `"required": true, "pseudonym": true`, `"required": true`,
			"column subject_id stands for a person (customer_curated.email, customer_curated.serialnumber): mark it pseudonym in machine_learning_curated.json",
		},
		"personal in a table that may have it": {
			"contracts/accelerometer_trusted.json", `"name": "x", "type": "double", "required": true,`, `"name": "x", "type": "double", "required": true, "personal": true,`,
			"column x carries personal data (accelerometer_trusted.x)", // further on, in machine_learning_curated
		},
		"a struct's field": {
			"consent/customer_consent.sql",
			"\nselect\n    email,\n    serialnumber,\n    lastupdatedate,",
			"\nselect\n    email,\n    serialnumber,\n    struct(serialnumber as worn).worn as lastupdatedate,",
			"sql/consent/customer_consent.sql: column lastupdatedate carries personal data (customer_consent.serialnumber, customer_landing.serialnumber), but customer_consent.json does not mark it personal",
		},
		"a table that is not declared": {
			"contracts/step_trainer_trusted.json", `"customer_suspension"]`, `"customer_suspension", "customer_trusted"]`,
			"step_trainer_trusted.json: job.reads: none of its SELECTs reads customer_trusted",
		},
		"a table without a contract": {
			learning, "from accelerometer_trusted\n", "from shoe_trusted as accelerometer_trusted\n",
			"sql/" + learning + ": reads shoe_trusted: there is no contract shoe_trusted.json and no SELECT sql/curated/shoe_trusted.sql",
		},
		"a table that no job.reads names": {
			learning, "from accelerometer_trusted\n", "from customer_trusted as accelerometer_trusted\n",
			"sql/" + learning + ": reads customer_trusted, which job.reads in machine_learning_curated.json does not name",
		},
		"landing behind the gate": {
			"trusted/people.sql", "from customer_consent\n", "from customer_landing as customer_consent\n",
			"sql/trusted/people.sql: reads customer_landing, which job.reads in accelerometer_trusted.json does not name",
		},
		"a column too many": {
			learning, "accelerometer_trusted.x,", "accelerometer_trusted.x, accelerometer_trusted.x as w,",
			"column w is not in machine_learning_curated.json",
		},
		"a column missing": {
			"trusted/accelerometer_trusted.sql", "    x,\n    y,", "    y,",
			"sql/trusted/accelerometer_trusted.sql: column x is missing, accelerometer_trusted.json requires it",
		},
		"a column that there is not": {
			learning, "accelerometer_trusted.x,", "accelerometer_trusted.w as x,",
			"sql/" + learning + ": ",
		},
		"an int for a bigint": {
			"curated/machine_learning_curated.sql", "    step_trainer_trusted.sensorreadingtime,\n", "    cast(step_trainer_trusted.sensorreadingtime as int) as sensorreadingtime,\n",
			"sql/" + learning + ": column sensorreadingtime has type int, machine_learning_curated.json says bigint",
		},
		"a text for a number": {
			"trusted/step_trainer_gated.sql", "    readings.distancefromobject,\n", "    'far' as distancefromobject,\n", // through two SELECTs
			"sql/trusted/step_trainer_trusted.sql: column distancefromobject has type string, step_trainer_trusted.json says int",
		},
		"another type in the contract": {
			mlTable, `"name": "sensorreadingtime", "type": "bigint"`, `"name": "sensorreadingtime", "type": "int"`,
			"sql/" + learning + ": column sensorreadingtime has type bigint, machine_learning_curated.json says int",
		},
		"through a UNION": {
			"suspension/customer_suspension.sql", "        file_modified as delivered", "        file_modified / 2 as delivered",
			"sql/suspension/customer_suspension.sql: column delivered of a UNION has the types double and bigint; cast one of them",
		},
		"a type that nobody knows": {
			learning, "accelerometer_trusted.x,", "some_function(accelerometer_trusted.x) as x,",
			"sql/" + learning + ": column x: its type cannot be told; write cast(... as double), as machine_learning_curated.json says",
		},
		"a reason that is none": {
			learning, "then 'no_step_reading' end", "then 1 end",
			"sql/" + learning + ": column reason has type int, want string",
		},
		"not SQL": {
			learning, "case when", "case when (",
			"sql/" + learning + ": ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			contracts, selects := project(t)
			changed := selects
			if strings.HasPrefix(test.file, "contracts/") {
				changed = contracts
			}
			replace(t, changed, test.file, test.before, test.after)
			if err := check(t, contracts, selects); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check error = %v\nwant %q in it", err, test.want)
			}
		})
	}
}

func TestMissingSelect(t *testing.T) {
	contracts, selects := project(t)
	delete(selects, "trusted/accelerometer_gated.sql")
	if err := check(t, contracts, selects); err == nil || !strings.Contains(err.Error(), "sql/trusted/accelerometer_gated.sql: missing") {
		t.Errorf("Check error = %v, want the missing file", err)
	}
}

func TestWithoutPython(t *testing.T) {
	if err := lineage.Check("no-such-python", nil, fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("Check error = %v, want it to say what to run", err)
	}
}
