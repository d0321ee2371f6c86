package instance

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// The limits.
const (
	// MaxLink is the longest link that is handed over, in bytes.
	MaxLink = 8 << 10

	maxMessage  = 2 * MaxLink
	patience    = 3 * time.Second
	maxVisitors = 4 // at a time
	socketName  = "agent.sock"
)

// ErrShared says that others may enter the directory.
var ErrShared = errors.New("others may enter the directory")

type question struct {
	Link string `json:"link"`
}

type answer struct {
	URL string `json:"url"`
}

// private makes the directory if need be, and reports whether it is this user's alone. On Windows the directories of a
// user are, by their access lists, which modes don't show.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return ErrShared
	}
	return nil
}

// Hand gives a link, or none, to the program that runs already. It returns the URL to open, and false if none runs.
func Hand(dir, link string) (url string, ok bool) {
	if len(link) > MaxLink || private(dir) != nil {
		return "", false
	}
	c, err := net.DialTimeout("unix", filepath.Join(dir, socketName), patience)
	if err != nil {
		return "", false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if json.NewEncoder(c).Encode(question{link}) != nil {
		return "", false
	}
	var a answer
	if json.NewDecoder(io.LimitReader(c, maxMessage)).Decode(&a) != nil || a.URL == "" {
		return "", false
	}
	return a.URL, true
}

// Instance is the first start.
type Instance struct {
	listener net.Listener
	open     func(link string) string
	tasks    sync.WaitGroup
}

// Listen makes this the first start. Open is called with the link of each later one, empty if it has none, and returns
// the URL to open. Whoever started before and doesn't answer any more is replaced: call Hand first.
func Listen(dir string, open func(link string) string) (*Instance, error) {
	if err := private(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	i := &Instance{listener: l, open: open}
	i.tasks.Go(i.serve)
	return i, nil
}

// Close ends it.
func (i *Instance) Close() error {
	err := i.listener.Close() // which removes the socket
	i.tasks.Wait()
	return err
}

func (i *Instance) serve() {
	places := make(chan struct{}, maxVisitors)
	for {
		c, err := i.listener.Accept()
		if err != nil {
			return
		}
		places <- struct{}{}
		i.tasks.Go(func() {
			defer func() { <-places }()
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(patience))
			var q question
			if json.NewDecoder(io.LimitReader(c, maxMessage)).Decode(&q) != nil || len(q.Link) > MaxLink {
				return
			}
			_ = json.NewEncoder(c).Encode(answer{i.open(q.Link)})
		})
	}
}
