package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/localport"
	"github.com/huisclos/huisclos/examples/desktop/internal/spool"
	"github.com/huisclos/huisclos/meet"
)

// beginWait is how long a file may wait for the page to begin to give it, while none is on its way.
const beginWait = 30 * time.Second

// fileOffer takes a file of this person's: the page gives it first, then it is offered.
func (s *session) fileOffer(_ context.Context, r fileOffer) (any, error) {
	a := s.agent
	name := meet.FileOffer{Name: r.Name}.SafeName() // the others are told no more than that
	var to crypto.IdentityKey
	if r.To != "" {
		var err error
		if to, err = parseMember(r.To); err != nil {
			return nil, err
		}
	}
	switch {
	case r.Size < 0 || r.Name == "":
		return nil, fail(badRequest)
	case r.Size > maxFile:
		return nil, failAbout(tooLong, maxFile)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	own := 0
	for _, f := range a.files {
		if f.Self && (f.State == "reading" || f.State == "offered") {
			own++
		}
	}
	known := slices.ContainsFunc(s.members, func(m meet.Member) bool { return m.Identity == to && !m.Self })
	switch {
	case !slices.Contains(s.rights().Send, "files"):
		return nil, fail(notPermitted)
	case own >= meet.MaxFileOffers:
		return nil, failAbout(tooMany, meet.MaxFileOffers)
	case r.To != "" && !known:
		return nil, fail(noSuchMember)
	}
	disk, err := a.spool.Create()
	if err != nil {
		return nil, err
	}
	f := &shared{spool: disk, file: file{
		ID: crypto.NewMessageID().String(), From: s.self, Name: name, Size: r.Size, Type: cleanType(r.Type), To: r.To, Self: true,
		Newcomers: r.Newcomers && r.To == "",
		Time:      now(), State: "reading", Copies: []fileCopy{},
	}}
	f.sender, f.stop = context.WithCancel(s.context)
	a.uploadMoved = time.Now()
	url, err := a.port.NewUpload(localport.Upload{Size: r.Size, While: f.sender, Take: func(ctx context.Context, body io.Reader) error {
		return s.takeFile(ctx, f, disk, to, body)
	}})
	if err != nil || !a.addFile(f) {
		f.stop()
		f.drop()
		return nil, fail(tooMany)
	}
	return fileUpload{File: f.ID, URL: url}, nil
}

// maxType is how long a MIME type may be.
const maxType = 100

// cleanType is a MIME type for an icon, or empty.
func cleanType(t string) string {
	if len(t) > maxType || cleanName(t) != t {
		return ""
	}
	return t
}

// takeFile reads a file from the page and offers it.
func (s *session) takeFile(ctx context.Context, f *shared, disk *spool.File, to crypto.IdentityKey, body io.Reader) error {
	a := s.agent
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.sender, cancel)()
	if !a.uploadBegins(f) {
		return fail(uploadLost)
	}
	err := a.readFile(ctx, f, disk, body)
	var offer meet.FileOffer
	if err == nil {
		offer, err = s.meeting.OfferFile(ctx, meet.FileSource{Name: f.Name, Size: f.Size, Newcomers: f.Newcomers, Content: disk}, to)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.uploadMoved = time.Now()              // whoever waited for this one is next
	if err == nil && f.State != "reading" { // withdrawn meanwhile
		a.later(func() { _ = s.meeting.WithdrawFile(a.context, offer.ID) })
		err = fail(canceled)
	}
	if err != nil {
		f.drop()
		if f.State == "reading" {
			f.State, f.Error = "failed", failureOf(err)
			a.showFiles()
		}
		return &codeError{*failureOf(err)}
	}
	f.offer, f.State, f.SHA256 = offer.ID, "offered", hexOf(offer.Hash[:])
	for _, m := range s.members {
		if !m.Self && (f.To == "" || f.To == hexKey(m.Identity)) && f.copyOf(hexKey(m.Identity)) == nil {
			f.Copies = append(f.Copies, fileCopy{Member: hexKey(m.Identity), State: "offered"})
		}
	}
	a.showFiles()
	return nil
}

// readFile writes an upload into a spool file.
func (a *agent) readFile(ctx context.Context, f *shared, disk *spool.File, body io.Reader) error {
	buf := make([]byte, spool.ChunkSize)
	told := time.Now()
	for done := int64(0); ; {
		n, err := io.ReadFull(body, buf)
		if n > 0 {
			if _, err := disk.WriteAt(buf[:n], done); err != nil {
				return err
			}
			done += int64(n)
		}
		over := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case over && done == f.Size && ctx.Err() == nil:
		case err != nil || ctx.Err() != nil:
			return fail(uploadLost) // the page broke off, is gone, or brought nothing for too long
		}
		if time.Since(told) >= progressEvery || over {
			told = time.Now()
			a.mu.Lock()
			a.uploadMoved = told
			a.fileProgress(f, "", done)
			a.mu.Unlock()
		}
		if over {
			return nil
		}
	}
}

// uploadBegins reports whether a file is still wanted, now that the page begins to give it.
func (a *agent) uploadBegins(f *shared) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	f.begun, a.uploadMoved = true, time.Now()
	return f.State == "reading"
}

// uploadsLost ends the offers of files that the page doesn't begin to give: it is gone, or can't read them. While others are
// on their way they wait, for a browser uploads only so many at a time. What was begun ends by itself (localport.UploadWait).
// a.mu is held.
func (a *agent) uploadsLost(now time.Time) {
	if now.Sub(a.uploadMoved) < a.options.beginWait {
		return
	}
	lost := false
	for _, f := range a.files {
		if f.Self && f.State == "reading" && !f.begun {
			f.stop()
			f.drop()
			f.State, f.Error, lost = "failed", &failure{Code: uploadLost}, true
		}
	}
	if lost {
		a.showFiles()
	}
}
