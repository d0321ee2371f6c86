package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// files are those that are offered and received.
type files struct {
	dir  string // where to, empty: only to where accept says
	auto bool   // whatever is offered is received

	mu       sync.Mutex
	offered  []*os.File // ours, open as long as the meeting lasts
	received map[meet.FileID]*meet.FileTransfer
}

func newFiles(o options) (*files, error) {
	if o.files != "" {
		if err := os.MkdirAll(o.files, 0o700); err != nil {
			return nil, badInput("--files: %w", err)
		}
	}
	return &files{dir: o.files, auto: o.acceptFiles, received: map[meet.FileID]*meet.FileTransfer{}}, nil
}

func (f *files) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.offered {
		_ = file.Close()
	}
}

type offerData struct {
	ID       string `json:"id"`
	Name     string `json:"name"`      // anything its sender wants
	SafeName string `json:"safe_name"` // under which it can be kept
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"`
	From     string `json:"from"`
	Key      string `json:"key"`
	Self     bool   `json:"self"` // ours
	Private  bool   `json:"private"`
}

func offerOf(o meet.FileOffer) offerData {
	return offerData{
		ID: o.ID.String(), Name: o.Name, SafeName: o.SafeName(), Size: o.Size, SHA256: hexBytes(o.Hash[:]), From: o.From.Name,
		Key: hexKey(o.From.Identity), Self: o.From.Self, Private: !o.To.IsZero(),
	}
}

type transferData struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Member  string `json:"member"` // the other side
	Key     string `json:"key"`
	Sending bool   `json:"sending"`
	Done    int64  `json:"done"` // bytes
	Size    int64  `json:"size"`
	State   string `json:"state,omitempty"` // running, paused, waiting
	File    string `json:"file,omitempty"`  // where it is
	Error   string `json:"error,omitempty"`
}

func stateName(s meet.FileState) string {
	switch s {
	case meet.FilePaused:
		return "paused"
	case meet.FileWaiting:
		return "waiting"
	}
	return "running"
}

func transferOf(o meet.FileOffer, peer meet.Member, sending bool) transferData {
	return transferData{ID: o.ID.String(), Name: o.Name, Member: peer.Name, Key: hexKey(peer.Identity), Sending: sending, Size: o.Size}
}

// fileEvent reports what happens to files.
func (p *participant) fileEvent(e meet.Event) {
	switch e := e.(type) {
	case meet.FileOffered:
		p.fileOffered(e.Offer)
	case meet.FileWithdrawn:
		d := offerOf(e.Offer)
		p.out.event("file_withdrawn", d, "%s no longer offers %s", d.From, d.Name)
	case meet.FileRefused:
		d := transferOf(e.Offer, e.By, true)
		p.out.event("file_refused", d, "%s doesn't want %s", d.Member, d.Name)
	case meet.FileProgress:
		d := transferOf(e.Offer, e.Peer, e.Sending)
		d.Done, d.State = e.Done, stateName(e.State)
		p.out.event("file_progress", d, "%s: %d of %d bytes, %s", d.Name, d.Done, d.Size, d.State)
	case meet.FileDone:
		if e.Sending { // of what we receive there is more to do before it is done
			d := transferOf(e.Offer, e.Peer, true)
			p.fileDone(d, e.Err)
		}
	}
}

func (p *participant) fileOffered(o meet.FileOffer) {
	d := offerOf(o)
	p.out.event("file_offered", d, "%s offers %s, %d bytes: accept %s", d.From, d.Name, d.Size, d.ID)
	if p.files.auto {
		if err := p.receive(p.m.Context(), o, ""); err != nil {
			p.refuse("accept "+d.ID, err)
		}
	}
}

func (p *participant) fileDone(d transferData, err error) {
	if err != nil {
		d.Error = oneLine(err)
		p.out.event("file_done", d, "%s: %s", d.Name, d.Error)
		return
	}
	d.Done = d.Size
	p.out.event("file_done", d, "%s is complete %s", d.Name, d.File)
}

// send offers a file to all, or to one person.
func (p *participant) send(ctx context.Context, argument string) error {
	path, to := argument, crypto.IdentityKey{}
	file, err := os.Open(path)
	if i := strings.LastIndexByte(argument, ' '); err != nil && i > 0 {
		var who person
		if who, err = p.somebody(ctx, strings.TrimSpace(argument[i+1:])); err != nil {
			return fmt.Errorf("there is no such file, or: %w", err)
		}
		path, to = strings.TrimSpace(argument[:i]), who.key
		file, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("only a regular file can be sent")
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	o, err := p.m.OfferFile(ctx, meet.FileSource{Name: filepath.Base(path), Size: info.Size(), Content: file}, to)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	p.files.mu.Lock()
	p.files.offered = append(p.files.offered, file)
	p.files.mu.Unlock()
	d := offerOf(o)
	p.out.event("file_offered", d, "you offer %s (%s)", d.Name, d.ID)
	return nil
}

// minFileID is how many digits of a file's ID are enough.
const minFileID = 8

// accept receives a file to a path, or into the folder.
func (p *participant) accept(ctx context.Context, argument string) error {
	id, path, _ := strings.Cut(argument, " ")
	o, err := p.offer(ctx, id)
	if err != nil {
		return err
	}
	return p.receive(ctx, o, strings.TrimSpace(path))
}

func (p *participant) refuseFile(ctx context.Context, id string) error {
	o, err := p.offer(ctx, id)
	if err != nil {
		return err
	}
	return p.m.RefuseFile(ctx, o.ID)
}

// offer is what somebody else offers under an ID.
func (p *participant) offer(ctx context.Context, id string) (meet.FileOffer, error) {
	offers, err := p.m.Files(ctx)
	if err != nil {
		return meet.FileOffer{}, err
	}
	for _, o := range offers {
		if !o.From.Self && len(id) >= minFileID && strings.HasPrefix(hex.EncodeToString(o.ID[:]), strings.ToLower(id)) {
			return o, nil
		}
	}
	return meet.FileOffer{}, fmt.Errorf("nobody offers a file whose ID begins with %q", id)
}

func (p *participant) receive(ctx context.Context, o meet.FileOffer, path string) error {
	if path == "" {
		if p.files.dir == "" {
			return errors.New("say where to, or give --files DIR")
		}
		path = filepath.Join(p.files.dir, o.SafeName())
	}
	final, part, err := reserve(path)
	if err != nil {
		return err
	}
	discard := func() { _, _, _ = part.Close(), os.Remove(part.Name()), os.Remove(final) }
	t, err := p.m.ReceiveFile(ctx, o.ID, part, meet.FileReceiveOptions{})
	if err != nil {
		discard()
		return err
	}
	p.files.mu.Lock()
	p.files.received[o.ID] = t
	p.files.mu.Unlock()
	p.spawn(func() {
		err := t.Wait(context.Background()) // it ends with the meeting
		if err == nil {
			err = errors.Join(part.Close(), os.Rename(part.Name(), final))
		}
		d := transferOf(o, o.From, false)
		d.Done, _ = t.Progress()
		if err != nil {
			discard()
		} else {
			d.File = final
		}
		p.fileDone(d, err)
	})
	return nil
}

// reserve makes an empty file of a name that is free, so that nothing is ever overwritten, and one beside it to write to:
// what bears the name itself is always complete, or empty.
func reserve(path string) (final string, part *os.File, err error) {
	extension := filepath.Ext(path)
	stem := strings.TrimSuffix(path, extension)
	for n := 1; ; n++ {
		if final = path; n > 1 {
			final = fmt.Sprintf("%s (%d)%s", stem, n, extension)
		}
		f, err := os.OpenFile(final, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) && n < 10_000 {
			continue
		} else if err != nil {
			return "", nil, err
		}
		part, err = os.OpenFile(final+".part", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return final, part, f.Close()
		}
		_, _ = f.Close(), os.Remove(final)
		if !errors.Is(err, fs.ErrExist) {
			return "", nil, err
		}
	}
}

// transfer is what is being received under an ID.
func (p *participant) transfer(id string) (*meet.FileTransfer, error) {
	p.files.mu.Lock()
	defer p.files.mu.Unlock()
	for full, t := range p.files.received {
		if len(id) >= minFileID && strings.HasPrefix(full.String(), strings.ToLower(id)) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("no file whose ID begins with %q is being received", id)
}

func (p *participant) onTransfer(do func(*meet.FileTransfer)) func(context.Context, string) error {
	return func(_ context.Context, id string) error {
		t, err := p.transfer(id)
		if err == nil {
			do(t)
		}
		return err
	}
}
