package meet

import (
	"context"

	"github.com/huisclos/huisclos/crypto"
)

// RefuseFile tells a sender that this person doesn't want a file they offer; they get FileRefused, once. ReceiveFile still
// works. The errors are ErrFileGone, and ErrFileBusy while it is being received: see FileTransfer.Cancel.
func (m *Meeting) RefuseFile(ctx context.Context, id FileID) error {
	return command(ctx, m, func() error {
		o := m.files.offers[id]
		switch {
		case m.ending:
			return m.reason
		case o == nil || o.content != nil:
			return ErrFileGone
		case m.files.transfers[id] != nil:
			return ErrFileBusy
		}
		m.refuseFile(o)
		return nil
	})
}

func (m *Meeting) refuseFile(o *offeredFile) {
	o.refused = true
	m.sendTo(o.From.Key, pairMessage{FileRefused: &fileDecline{o.ID, m.files.asks}})
}

// refuseAgain tells a peer, who may have missed it, what of its files this person refused: it reports each once.
func (m *Meeting) refuseAgain(p *peer) {
	for id, o := range m.files.offers {
		if o.refused && o.From.Key == p.key {
			m.send(p, pairMessage{FileRefused: &fileDecline{id, m.files.asks}})
		}
	}
}

// fileRefused reports a refusal by somebody to whom the file was offered, once each, or ends what is on its way to them
// (FIL-11).
func (m *Meeting) fileRefused(p *peer, said fileDecline) {
	o := m.files.offers[said.File]
	by, known := m.memberByKey(p.key)
	if o == nil || o.content == nil || !known {
		return
	}
	if said.Number < o.asked[p.key] && !m.config.hooks.anyOrder {
		return // FIL-13: asked for since
	}
	if o.readers[by.Identity] {
		o.asked[p.key] = said.Number
	}
	if key := (uploadKey{said.File, p.key}); m.files.uploads[key] != nil {
		o.refusedBy[by.Identity] = true
		m.dropUpload(key, m.files.uploads[key], ErrFileCancelled)
		return
	}
	if (!o.readers[by.Identity] || o.refusedBy[by.Identity]) && !m.config.hooks.anyRefusal {
		m.log.Debug("a refusal of a file ignored: it wasn't offered to them, or they said so before")
		return
	}
	o.refusedBy[by.Identity] = true
	m.emit(FileRefused{Offer: o.FileOffer, By: by})
}

// offerToNewcomers announces this member's offers, where they are meant for them, to those who came since, and to those who
// are back with another incarnation (FIL-12): the same message, by pair session, until they acknowledge it.
func (m *Meeting) offerToNewcomers() {
	for _, offer := range m.files.live() {
		o := m.files.offers[offer.ID]
		if o.content == nil {
			continue
		}
		for key := range o.told {
			if m.roster.ByMeetingKey(key) == nil {
				delete(o.told, key)
				delete(o.asked, key)
			}
		}
		for i := range m.roster.Members {
			r := &m.roster.Members[i]
			key, who := r.Bundle.MeetingKey, r.Identity()
			newcomers := (o.newcomers || m.config.hooks.everyNewcomer) && o.To.IsZero()
			if key == m.self.Key() || o.told[key] || r.Equivocated || !o.readers[who] && !newcomers {
				continue
			}
			o.told[key], o.readers[who] = true, true
			m.keepFor(o.message, who)
		}
	}
}

// keepFor has a message sent to one more person.
func (m *Meeting) keepFor(o *outgoing, who crypto.IdentityKey) {
	for _, kept := range m.chats.outbox {
		if kept == o {
			o.lack[who] = true
			return
		}
	}
	o.lack = map[crypto.IdentityKey]bool{who: true}
	m.keep(o)
}
