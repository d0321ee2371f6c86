package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/localport"
	"github.com/huisclos/huisclos/examples/desktop/internal/spool"
	"github.com/huisclos/huisclos/meet"
)

const (
	maxFiles      = 500 // shown; older ones that are of no use any more go first
	progressEvery = 250 * time.Millisecond
)

// shared is a file of the meeting's: one that the page gave, or that another member offers. agent.mu guards it.
type shared struct {
	file
	offer  meet.FileID     // zero while an own one is read
	spool  *spool.File     // nil unless there is something of it here
	sender context.Context // of an own one: until it is withdrawn
	begun  bool            // of an own one: the page gives it, or has
	stop   context.CancelFunc
	rates  map[string]fileRate // by member

	transfer *meet.FileTransfer
}

// fileRate is how much there was when.
type fileRate struct {
	at   time.Time
	done int64
}

func init() {
	for name, h := range map[string]handler{
		"file-offer": in((*session).fileOffer),
		"file-accept": in(func(s *session, ctx context.Context, r fileAccept) (any, error) {
			return nil, s.acceptFile(ctx, r.File)
		}),
		"file-refuse": in(func(s *session, ctx context.Context, r fileRefuse) (any, error) {
			return nil, s.refuseFile(ctx, r.File)
		}),
		"file-pause": in(func(s *session, _ context.Context, r filePause) (any, error) {
			return nil, s.agent.pauseFile(r.File, true)
		}),
		"file-resume": in(func(s *session, _ context.Context, r fileResume) (any, error) {
			return nil, s.agent.pauseFile(r.File, false)
		}),
		"file-withdraw": in(func(s *session, ctx context.Context, r fileWithdraw) (any, error) {
			return nil, s.withdrawFile(ctx, r.File)
		}),
		"files-discard": on(func(a *agent, _ context.Context, _ filesDiscard) (any, error) {
			a.discardFiles()
			return nil, nil
		}),
		"file-save": on(func(a *agent, _ context.Context, r fileSave) (any, error) { return a.saveFile(r.File) }),
	} {
		add(name, h)
	}
}

// withFile changes one file, and shows it.
func (a *agent) withFile(id string, change func(*shared) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.fileByID(id)
	if f == nil {
		return fail(noSuchFile)
	}
	if err := change(f); err != nil {
		return err
	}
	a.showFiles()
	return nil
}

// fileByID finds a file by the page's name for it. agent.mu is held.
func (a *agent) fileByID(id string) *shared {
	for _, f := range a.files {
		if f.ID == id {
			return f
		}
	}
	return nil
}

// fileOf finds a file by the meeting's name for it. agent.mu is held.
func (a *agent) fileOf(id meet.FileID) *shared {
	for _, f := range a.files {
		if f.offer == id {
			return f
		}
	}
	return nil
}

// showFiles shows the files as they are now. agent.mu is held.
func (a *agent) showFiles() {
	a.state.Files = make([]file, len(a.files))
	for i, f := range a.files {
		a.state.Files[i] = f.file
		a.state.Files[i].Copies = slices.Clone(f.Copies)
	}
	a.changed("files")
}

// addFile takes another file, if there is room. agent.mu is held.
func (a *agent) addFile(f *shared) bool {
	if len(a.files) >= maxFiles {
		i := slices.IndexFunc(a.files, func(o *shared) bool { return o.spool == nil && (o.State == "withdrawn" || o.State == "refused") })
		if i < 0 {
			return false
		}
		a.files = slices.Delete(a.files, i, i+1)
	}
	f.rates = map[string]fileRate{}
	a.files = append(a.files, f)
	a.showFiles()
	return true
}

// drop deletes what is here of a file. agent.mu is held.
func (f *shared) drop() {
	if f.spool != nil {
		_ = f.spool.Close()
		f.spool = nil
	}
}

// unsaved says whether a file came that the person neither saved nor said to discard. agent.mu is held.
func (f *shared) unsaved() bool {
	return !f.Self && f.State == "complete" && f.spool != nil && !f.Saved
}

// discardFiles deletes what came and wasn't saved. A file that is still offered can be had again.
func (a *agent) discardFiles() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.files {
		if !f.unsaved() {
			continue
		}
		f.drop()
		if f.State, f.Done = "withdrawn", 0; a.session != nil {
			f.State = "offered"
		}
	}
	a.showFiles()
}

// dropFiles forgets all files, with what is here of them. agent.mu is held.
func (a *agent) dropFiles() {
	for _, f := range a.files {
		f.drop()
	}
	a.files = nil
}

// fileProgress tells the page how far one copy is. agent.mu is held.
func (a *agent) fileProgress(f *shared, member string, done int64) {
	e := fileProgressEvent{Event: "file-progress", File: f.ID, Done: done, To: member}
	was, at := f.rates[member], time.Now()
	if passed := at.Sub(was.at).Seconds(); !was.at.IsZero() && done > was.done && passed > 0 {
		e.Rate = int64(float64(done-was.done) / passed)
	}
	f.rates[member] = fileRate{at, done}
	if c := f.copyOf(member); c != nil {
		c.Done = done
	} else {
		f.Done = done
	}
	a.state.Files = slices.Clone(a.state.Files)
	if i := slices.IndexFunc(a.state.Files, func(o file) bool { return o.ID == f.ID }); i >= 0 {
		a.state.Files[i].Done, a.state.Files[i].Copies = f.Done, slices.Clone(f.Copies)
	}
	a.sendLocked(e)
}

func (f *shared) copyOf(member string) *fileCopy {
	for i := range f.Copies {
		if f.Copies[i].Member == member {
			return &f.Copies[i]
		}
	}
	return nil
}

// copyFor is copyOf, for a member who is offered it in any case.
func (f *shared) copyFor(member string) *fileCopy {
	if c := f.copyOf(member); c != nil {
		return c
	}
	f.Copies = append(f.Copies, fileCopy{Member: member, State: "offered"})
	return &f.Copies[len(f.Copies)-1]
}

// acceptFile begins to receive a file.
func (s *session) acceptFile(ctx context.Context, id string) error {
	a := s.agent
	var f *shared
	err := a.withFile(id, func(o *shared) error {
		if o.Self || o.State != "offered" && o.State != "failed" && o.State != "refused" {
			return fail(noSuchFile)
		}
		o.drop()
		disk, err := a.spool.Create()
		if err != nil {
			return err
		}
		o.spool, o.State, o.Error, o.Done, o.rates = disk, "receiving", nil, 0, map[string]fileRate{}
		f = o
		return nil
	})
	if err != nil {
		return err
	}
	transfer, err := s.meeting.ReceiveFile(ctx, f.offer, f.spool, meet.FileReceiveOptions{})
	return errors.Join(err, a.withFile(id, func(f *shared) error {
		if err == nil {
			f.transfer = transfer
			return nil
		}
		f.drop()
		f.State, f.Error = "failed", failureOf(err)
		return nil
	}))
}

// refuseFile tells the sender of a file that it isn't wanted. It can be had all the same, as long as it is offered.
func (s *session) refuseFile(ctx context.Context, id string) error {
	var offer meet.FileID
	err := s.agent.withFile(id, func(f *shared) error {
		if f.Self || f.State != "offered" && f.State != "failed" {
			return fail(noSuchFile)
		}
		f.State, f.Error, offer = "refused", nil, f.offer
		return nil
	})
	if err != nil {
		return err
	}
	return s.meeting.RefuseFile(ctx, offer)
}

func (a *agent) pauseFile(id string, pause bool) error {
	return a.withFile(id, func(f *shared) error {
		switch {
		case f.transfer == nil:
			return fail(noSuchFile)
		case pause && (f.State == "receiving" || f.State == "waiting"):
			f.State = "paused"
			f.transfer.Pause()
		case !pause && f.State == "paused":
			f.State = "receiving"
			f.transfer.Resume()
		}
		return nil
	})
}

// withdrawFile ends the offer of an own file, or the transfer of another's.
func (s *session) withdrawFile(ctx context.Context, id string) error {
	var offer meet.FileID
	err := s.agent.withFile(id, func(f *shared) error {
		switch {
		case f.Self && (f.State == "reading" || f.State == "offered"):
			f.stop()
			offer = f.offer
			f.State = "withdrawn"
			if offer == (meet.FileID{}) {
				f.drop()
			}
		case !f.Self && f.transfer != nil:
			f.transfer.Cancel() // fileDone follows
		default:
			return fail(noSuchFile)
		}
		return nil
	})
	if err != nil || offer == (meet.FileID{}) {
		return err
	}
	if err = s.meeting.WithdrawFile(ctx, offer); errors.Is(err, meet.ErrFileGone) {
		err = nil
	}
	return errors.Join(err, s.agent.withFile(id, func(f *shared) error {
		f.drop()
		return nil
	}))
}

// saveFile lets the browser have a file that is complete.
func (a *agent) saveFile(id string) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.fileByID(id)
	if f == nil || f.Self || f.State != "complete" || f.spool == nil {
		return nil, fail(noSuchFile)
	}
	return a.offerSpool(f.Name, "", f.spool, func() {
		_ = a.withFile(id, func(f *shared) error { // if it isn't gone by now
			f.Saved = true
			return nil
		})
	})
}

// offerSpool gives what is in a spool file to the browser. Then is called when all of it was taken.
func (a *agent) offerSpool(name, mime string, from *spool.File, then func()) (any, error) {
	size := from.Size()
	url, err := a.port.NewDownload(localport.Download{Name: name, Type: mime, Size: size, Give: func(ctx context.Context, w io.Writer) error {
		buf := make([]byte, spool.ChunkSize)
		for at := int64(0); at < size; {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := from.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
			if err != nil {
				return err
			}
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			at += int64(n)
		}
		if then != nil {
			then()
		}
		return nil
	}})
	if err != nil {
		return nil, fail(tooMany)
	}
	return download{URL: url, Name: name}, nil
}
