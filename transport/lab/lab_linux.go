package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// lab runs cells and scenarios with one headless.
type lab struct {
	dir      string // removed at the end
	root     string // of the repository
	headless string
	relay    string
	tapped   string   // the relay that writes down what it can read
	usage    string   // of headless: what it can be told
	speech   []string // files to play
	verbose  bool
}

// dirPrefix is how everything begins that the laboratory makes on the machine: folders for temporary files.
const dirPrefix = "huisclos-lab-"

// newLab builds what is run.
func newLab(ctx context.Context, verbose bool) (*lab, error) {
	if os.Getuid() != 0 {
		return nil, errors.New("the laboratory makes network namespaces: run it as root")
	}
	for _, program := range []string{"ip", "nft", "miniupnpd"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w: install iproute2, nftables and miniupnpd", err)
		}
	}
	l := &lab{verbose: verbose}
	var err error
	if l.root, err = repository(); err != nil {
		return nil, err
	}
	removeStale()
	goAhead()
	if l.dir, err = os.MkdirTemp("", dirPrefix+fmt.Sprint(os.Getpid())+"-"); err != nil {
		return nil, err
	}
	for _, name := range []string{"speech-1.ogg", "speech-2.ogg"} {
		l.speech = append(l.speech, filepath.Join(l.root, "examples/internal/media", name))
	}
	l.headless, l.relay, l.tapped = filepath.Join(l.dir, "headless"), filepath.Join(l.dir, "relay"), filepath.Join(l.dir, "relay-tapped")
	for _, args := range [][]string{{"-o", l.dir, "./examples/headless", "./examples/relay"}, {"-tags", "lab", "-o", l.tapped, "./examples/relay"}} {
		build := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
		build.Dir = l.root
		if out, err := build.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("go build: %w\n%s", err, out), l.close())
		}
	}
	usage, err := exec.CommandContext(ctx, l.headless, "-h").Output()
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.usage = string(usage)
	return l, nil
}

func (l *lab) close() error { return os.RemoveAll(l.dir) }

func (l *lab) logf(format string, args ...any) {
	if l.verbose {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}

// repository is the folder of the module, from any folder in it.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("run the laboratory from within the repository")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// removeStale removes the folders of laboratories that were killed. Nothing else outlives them.
func removeStale() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			_ = os.RemoveAll(dir)
		}
	}
}

// lacks is the first of the flags that headless doesn't know.
func (l *lab) lacks(flags []string) string {
	for _, f := range flags {
		if !strings.Contains(l.usage, f+" ") && !strings.Contains(l.usage, f+"\n") {
			return f
		}
	}
	return ""
}

// experiment is a cell or scenario, ready to run.
type experiment struct {
	name   string
	needs  []string
	short  bool
	beside bool // takes long and little work: it begins at once, beside all others
	alone  bool // measures times that others running beside it would spoil
	limit  time.Duration
	cell   *cell
	run    func(ctx context.Context, r *result) error
}

const cellLimit = 90 * time.Second

// experiments are all there are, in the order of the tables.
func (l *lab) experiments() []experiment {
	var all []experiment
	for _, c := range matrix() {
		all = append(all, experiment{
			name: c.name(), needs: c.needs(), short: c.short(), cell: &c, limit: cellLimit,
			run: func(ctx context.Context, r *result) error { return l.cell(ctx, c, r) },
		})
	}
	return append(all, l.scenarios()...)
}

// samples are needles of what the members play.
func (l *lab) samples() ([]needle, error) {
	var out []needle
	for i := range l.speech {
		more, err := l.samplesOf(i)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func (l *lab) samplesOf(n int) ([]needle, error) {
	file, err := os.ReadFile(l.speech[n])
	return mediaNeedles(file), err
}

// wanted are those that the options ask for.
func (o options) wanted(all []experiment) []experiment {
	var out []experiment
	for _, e := range all {
		if (!o.short || e.short) && (o.run == nil || o.run.MatchString(e.name)) {
			out = append(out, e)
		}
	}
	return out
}

// repetitions is how often what falls short is measured again.
const repetitions = 2

// measured runs experiments, some beside each other, and those that fall short again, alone, twice at most: on two cores
// the others' work can make one late. The last result of each counts, and says that it is of a repetition. What was sent
// or shown and may not be is final.
func (l *lab) measured(ctx context.Context, all []experiment, jobs int, show func(result)) []result {
	results := l.runAll(ctx, all, jobs, show)
	for again := range repetitions {
		for i, e := range all {
			if len(results[i].Failures) == 0 || results[i].Breach || ctx.Err() != nil {
				continue
			}
			results[i] = l.runOne(ctx, e)
			results[i].Again = again + 1
			show(results[i])
		}
	}
	return results
}

// runAll runs experiments, some at a time, and returns their results in order. Each is shown when it is done.
func (l *lab) runAll(ctx context.Context, all []experiment, jobs int, show func(result)) []result {
	results := make([]result, len(all))
	var showing sync.Mutex
	turn := make(chan struct{}, jobs)
	var running sync.WaitGroup
	one := func(i int) {
		r := l.runOne(ctx, all[i])
		showing.Lock()
		defer showing.Unlock()
		results[i] = r
		show(r)
	}
	var beside sync.WaitGroup
	for i, e := range all {
		if e.beside {
			beside.Go(func() { one(i) })
		}
	}
	for i, e := range all {
		if !e.alone && !e.beside {
			turn <- struct{}{}
			running.Go(func() { one(i); <-turn })
		}
	}
	running.Wait()
	for i, e := range all {
		if e.alone {
			one(i)
		}
	}
	beside.Wait()
	return results
}

func (l *lab) runOne(ctx context.Context, e experiment) result {
	r := result{Name: e.name}
	if e.cell != nil {
		r.A, r.B, r.Expected = e.cell.a, e.cell.b, expected(e.cell.a, e.cell.b)
	}
	if flag := l.lacks(e.needs); flag != "" {
		r.Pending = "headless has no " + flag
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	began := time.Now()
	if err := e.run(ctx, &r); err != nil {
		r.fail("%v", err)
	}
	r.Took = time.Since(began)
	return r
}

// runLab is the program.
func runLab(ctx context.Context, o options) error {
	l, err := newLab(ctx, o.verbose)
	if err != nil {
		return err
	}
	defer func() { _ = l.close() }()
	all := o.wanted(l.experiments())
	if o.list {
		for _, e := range all {
			fmt.Println(e.name)
		}
		return nil
	}
	began := time.Now()
	results := l.measured(ctx, all, max(1, o.jobs), func(r result) { fmt.Print(r.line()) })
	failed, pending := tally(results)
	fmt.Printf("%d of %d fell short, %d not run, %v in all\n", failed, len(results), pending, time.Since(began).Round(time.Second))
	if o.write {
		if err := writeTables(filepath.Join(l.root, "transport/NETWORKS.md"), results); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d fell short", failed, len(results))
	}
	return errors.Join(tooMany(results), ctx.Err())
}
