package main

import (
	"errors"
	"strings"

	"github.com/huisclos/huisclos/meet"
)

// fileStates are the page's words for what a transfer does.
var fileStates = map[meet.FileState]string{meet.FileRunning: "receiving", meet.FilePaused: "paused", meet.FileWaiting: "waiting"}

// fileOffered takes another's offer. agent.mu is held.
func (s *session) fileOffered(o meet.FileOffer) {
	a := s.agent
	if o.From.Self || hexKey(o.From.Identity) == s.self || a.fileOf(o.ID) != nil {
		return
	}
	f := &shared{offer: o.ID, file: file{
		ID: hexOf(o.ID[:]), From: hexKey(o.From.Identity), Name: o.SafeName(), Size: o.Size, Time: milliseconds(o.Time), State: "offered",
		SHA256: hexOf(o.Hash[:]),
	}}
	if !o.To.IsZero() {
		f.To = hexKey(o.To)
	}
	a.addFile(f)
}

// fileWithdrawn: nobody can begin to receive it any more. agent.mu is held.
func (s *session) fileWithdrawn(o meet.FileOffer) {
	f := s.agent.fileOf(o.ID)
	if f == nil || f.State == "complete" {
		return
	}
	if f.Self {
		f.stop()
	}
	if f.State != "failed" || !f.Self {
		f.State, f.Error = "withdrawn", nil
	}
	f.drop()
	s.agent.showFiles()
}

// fileRefused: somebody doesn't want an own file. agent.mu is held.
func (s *session) fileRefused(e meet.FileRefused) {
	f := s.agent.fileOf(e.Offer.ID)
	if f == nil {
		return
	}
	c := f.copyFor(hexKey(e.By.Identity))
	if c.State == "offered" {
		c.State = "refused"
	}
	s.agent.showFiles()
}

// filesForNewcomers shows who else is offered what is offered to newcomers. agent.mu is held.
func (s *session) filesForNewcomers() {
	changed := false
	for _, f := range s.agent.files {
		for _, m := range s.members {
			if f.Newcomers && f.State == "offered" && !m.Self && f.copyOf(hexKey(m.Identity)) == nil {
				f.copyFor(hexKey(m.Identity))
				changed = true
			}
		}
	}
	if changed {
		s.agent.showFiles()
	}
}

// filesAgain: somebody is back, and offered again what they were offered. agent.mu is held.
func (s *session) filesAgain(member string) {
	for _, f := range s.agent.files {
		if c := f.copyOf(member); c != nil && c.State == "failed" && f.State == "offered" {
			c.State, c.Done = "offered", 0
			s.agent.showFiles()
		}
	}
}

// fileMoved takes how far a transfer is. agent.mu is held.
func (s *session) fileMoved(e meet.FileProgress) {
	f := s.agent.fileOf(e.Offer.ID)
	if f == nil {
		return
	}
	state, member := fileStates[e.State], ""
	if e.Sending {
		member = hexKey(e.Peer.Identity)
		c := f.copyFor(member)
		if c.State != state {
			c.State, c.Done = state, e.Done
			s.agent.showFiles()
		}
	} else {
		if f.State != "receiving" && f.State != "paused" && f.State != "waiting" {
			return // over meanwhile
		}
		if f.State != state && !(f.State == "paused" && e.State == meet.FileWaiting) {
			f.State, f.Done = state, e.Done
			s.agent.showFiles()
		}
	}
	s.agent.fileProgress(f, member, e.Done)
}

// fileDone takes the end of a transfer. agent.mu is held.
func (s *session) fileDone(e meet.FileDone) {
	f := s.agent.fileOf(e.Offer.ID)
	if f == nil {
		return
	}
	if e.Sending {
		if c := f.copyOf(hexKey(e.Peer.Identity)); c != nil {
			switch {
			case e.Err == nil:
				c.State, c.Done = "complete", f.Size
			case errors.Is(e.Err, meet.ErrFileCancelled):
				c.State = "refused"
			default:
				c.State = "failed"
			}
		}
		s.agent.showFiles()
		return
	}
	f.transfer = nil
	switch {
	case e.Err == nil:
		f.State, f.Done = "complete", f.Size
	case f.State == "withdrawn":
	case errors.Is(e.Err, meet.ErrFileCancelled):
		f.State, f.Done = "offered", 0 // one can begin again
	case errors.Is(e.Err, meet.ErrFileGone):
		f.State = "withdrawn"
	default:
		f.State, f.Error = "failed", failureOf(e.Err)
	}
	if f.State != "complete" {
		f.drop()
	}
	s.agent.showFiles()
}

// filesNow follows lost events: what is offered now. agent.mu is held.
func (s *session) filesNow(offers []meet.FileOffer) {
	here := map[meet.FileID]bool{}
	for _, o := range offers {
		here[o.ID] = true
		s.fileOffered(o)
	}
	for _, f := range s.agent.files {
		if f.offer != (meet.FileID{}) && !here[f.offer] && f.State == "offered" {
			s.fileWithdrawn(meet.FileOffer{ID: f.offer})
		}
	}
}

// filesWithout: a member who is gone gets no more. agent.mu is held.
func (s *session) filesWithout(member string) {
	for _, f := range s.agent.files {
		if c := f.copyOf(member); c != nil && c.State != "complete" && c.State != "refused" {
			c.State = "failed"
		}
	}
	s.agent.showFiles()
}

// filesOver: the meeting is over. What came stays until the person is done; all else ends. agent.mu is held.
func (s *session) filesOver() {
	for _, f := range s.agent.files {
		switch {
		case f.Self:
			f.stop()
			if f.State == "reading" {
				f.State, f.Error = "failed", &failure{Code: left}
			}
			f.drop()
		case strings.Contains("receiving paused waiting", f.State):
			f.State, f.Error, f.transfer = "failed", &failure{Code: left}, nil
			f.drop()
		case f.State == "offered":
			f.State = "withdrawn"
		}
	}
	s.agent.showFiles()
}
