package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Files of a workspace.
const (
	stateFile   = "emulator.json" // where a running embedded AWS is
	envFile     = "emulator.env"  // to source in a shell that talks to it
	emulatorLog = "emulator.log"
	runLogs     = "runs/<run id>/{stdout,stderr}.log"
)

const startLimit = 60 * time.Second

// emulator is a running embedded AWS.
type emulator struct {
	PID      int    `json:"pid"`
	Endpoint string `json:"endpoint"` // http://127.0.0.1:PORT
	exited   <-chan error
}

// startEmulator starts the embedded AWS on a free port of 127.0.0.1 and waits until it answers.
func startEmulator(ctx context.Context, work workspace) (*emulator, error) {
	if running, err := kept(work); err == nil {
		return nil, fmt.Errorf("an embedded AWS of an earlier demo still runs on %s: end it with `make stop` (destroys the stacks) or `make clean`", running.Endpoint)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(string(work)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(string(work), 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(work.file(emulatorLog))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(".venv/bin/python", "-m", "embedded_aws", "--port", strconv.Itoa(port), "--work", string(work), "--jars", ".stedi/jars")
	cmd.Env = append(append(surroundings(), noProxy()...), "PYTHONPATH=local")
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own: Ctrl-C in the terminal must not stop it before the demo has cleaned up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the embedded AWS: %w (did `make demo` install it?)", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	e := &emulator{PID: cmd.Process.Pid, Endpoint: fmt.Sprintf("http://127.0.0.1:%d", port), exited: exited}
	// From the start, so that it can be found however the demo ends.
	state, err := json.Marshal(e)
	if err == nil {
		err = os.WriteFile(work.file(stateFile), append(state, '\n'), 0o644)
	}
	if err != nil {
		return nil, errors.Join(err, e.stop())
	}
	if err := e.waitReady(ctx, work.file(emulatorLog)); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

func (e *emulator) waitReady(ctx context.Context, log string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if e.healthy() {
			return nil
		}
		select {
		case err := <-e.exited:
			return fmt.Errorf("the embedded AWS ended while starting (%w), see %s", err, log)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return errors.New("interrupted")
			}
			return fmt.Errorf("the embedded AWS did not answer on %s within %s, see %s", e.Endpoint, startLimit, log)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *emulator) healthy() bool {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get(e.Endpoint + "/_ministack/health")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// keep tells how to use the embedded AWS.
func (e *emulator) keep(work workspace) error {
	var env strings.Builder
	for _, setting := range awsEnvironment(e.Endpoint) {
		fmt.Fprintf(&env, "export %s\n", setting)
	}
	if err := os.WriteFile(work.file(envFile), []byte(env.String()), 0o644); err != nil {
		return err
	}
	fmt.Printf("  use it:  source %s && npx cdk diff -c stage=%s\n  end it:  make stop\n", work.file(envFile), stage)
	return nil
}

// stop ends the embedded AWS by its process id and waits for it.
func (e *emulator) stop() error {
	if err := syscall.Kill(e.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the embedded AWS (process %d): %w", e.PID, err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if !alive(e.PID) {
			return nil
		}
	}
	return syscall.Kill(e.PID, syscall.SIGKILL)
}

// kept returns the embedded AWS that an earlier demo left running, on purpose or because it was broken off.
func kept(work workspace) (*emulator, error) {
	content, err := os.ReadFile(work.file(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no embedded AWS was kept: start one with `make demo KEEP=1`")
	}
	if err != nil {
		return nil, err
	}
	var e emulator
	if err := json.Unmarshal(content, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", work.file(stateFile), err)
	}
	if !alive(e.PID) || !e.healthy() {
		return nil, errors.Join(errors.New("the kept embedded AWS has ended: start one with `make demo KEEP=1`"), forget(work))
	}
	return &e, nil
}

func stopKept(work workspace) error {
	e, err := kept(work)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	if err := e.stop(); err != nil {
		return err
	}
	step("embedded AWS stopped")
	return forget(work)
}

func forget(work workspace) error {
	for _, file := range []string{stateFile, envFile} {
		if err := os.Remove(work.file(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// alive tells whether the process is there and is an embedded AWS, not another one that got its number.
func alive(pid int) bool {
	out, err := exec.Command("ps", "-o", "stat=,command=", "-p", strconv.Itoa(pid)).Output()
	state := strings.TrimSpace(string(out))
	return err == nil && strings.Contains(state, "embedded_aws") && !strings.HasPrefix(state, "Z")
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// findLanding lists the files of a data folder that are uploaded, as local path by key, and the others: whatever lies below
// <source>/landing/ of a source, at any depth and with any name, so that the run accounts for it (R15).
func findLanding(data string, sources []string) (landing map[string]string, leftOut []string, err error) {
	landing = map[string]string{}
	err = fs.WalkDir(os.DirFS(data), ".", func(key string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(filepath.Join(data, key)) // of what a link leads to
		if err != nil {
			return err
		}
		source, below, _ := strings.Cut(key, "/")
		if slices.Contains(sources, source) && strings.HasPrefix(below, "landing/") && info.Mode().IsRegular() {
			landing[key] = filepath.Join(data, key)
		} else {
			leftOut = append(leftOut, key)
		}
		return nil
	})
	if err == nil && len(landing) == 0 {
		err = fmt.Errorf("no landing files in %s: expected <source>/landing/, with sources among %s", data, strings.Join(sources, ", "))
	}
	return landing, leftOut, err
}
