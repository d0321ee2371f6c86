package meet

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// newcomer is how long somebody who came is told of addresses that are new.
	newcomer = 10 * time.Second
	// recordBurst records of one author are taken at once, and then one a second: each has others dial.
	recordBurst = 4
)

// knownRecord is the newest address record of a member.
type knownRecord struct {
	addressRecord
	limit limiter
}

// ownRecord says where this member can be reached, signed (ADR-1). It is the same until that changes, so that nobody
// passes on what is known. It goes into pair sessions and welcomes, nowhere else (ADR-2).
func (m *Meeting) ownRecord() *addressRecord {
	raw := mixAddresses(append(m.host.Addresses(), m.bridgeAddresses()...))
	if m.own == nil || !slices.EqualFunc(m.own.Addresses, raw, bytes.Equal) {
		m.ledger.record = m.ledger.record || namesAddress(raw)
		number := uint64(time.Now().UnixMilli())
		if m.own != nil {
			number = max(number, m.own.Number+1) // twice in a millisecond
		}
		m.own = signRecord(m.self, number, raw)
	}
	return m.own
}

func signRecord(self *crypto.Incarnation, number uint64, addrs [][]byte) *addressRecord {
	r := &addressRecord{Author: self.Key(), Number: number, Addresses: addrs}
	id := self.Meeting()
	sig := self.Sign("addresses", id[:], encode(r))
	r.Signature = &sig
	return r
}

// readRecord decodes an address record.
func readRecord(raw []byte) (*addressRecord, error) {
	var r addressRecord
	if err := codec.Unmarshal(raw, maxRecordSize, &r); err != nil {
		return nil, err
	}
	if r.Signature == nil || len(r.Addresses) > crypto.MaxDoorAddresses {
		return nil, errBadRecord
	}
	return &r, nil
}

// verify says whether the member it is about signed a record (ADR-1).
func (r *addressRecord) verify(meeting crypto.MeetingID) bool {
	unsigned := *r
	unsigned.Signature = nil
	return r.Author.Verify("addresses", *r.Signature, meeting[:], encode(&unsigned))
}

var errBadRecord = errors.New("an address record isn't signed by its author")

// knownRecords are where members can be reached, this one first, but one: as many as fit into a message.
func (m *Meeting) knownRecords(but crypto.MeetingKey) [][]byte {
	raws := [][]byte{encode(m.ownRecord())}
	size := len(raws[0])
	for key, r := range m.records {
		raw := encode(&r.addressRecord)
		if size += len(raw); key != but && m.peers[key] != nil && len(raws) < maxRecords && size < maxBatch {
			raws = append(raws, raw)
		}
	}
	return raws
}

func (m *Meeting) sendRecords(p *peer) {
	m.send(p, pairMessage{Addresses: m.knownRecords(p.key)})
}

// addresses learns where members are: what they signed themselves, whoever passes it on (ADR-1).
func (m *Meeting) addresses(raws [][]byte, from *peer, now time.Time) {
	if len(raws) > maxRecords {
		return
	}
	for _, raw := range raws {
		r, err := readRecord(raw)
		if err != nil {
			return
		}
		if !m.isNews(r) {
			continue
		}
		if !r.verify(m.id) && !m.config.hooks.anyAddress {
			return // no honest member passes it on
		}
		if !m.keepRecord(r, now) {
			continue
		}
		if p := m.peers[r.Author]; p != nil {
			switch {
			case p.connected && !p.direct():
				m.seekDirect(p, now)
			case p.session.Initiator() || p.sought: // one of two who came at once, or who came to it
				m.dialAnew(p, now)
			default:
				m.dial(p, now)
			}
		}
		if !m.passOn(r, from, now) {
			m.tellNewcomers(r, now)
		}
	}
}

// isNews says whether a record is by another on the roster, with a number above the last.
func (m *Meeting) isNews(r *addressRecord) bool {
	k := m.records[r.Author]
	return m.peers[r.Author] != nil && (k == nil || r.Number > k.Number)
}

func (m *Meeting) keepRecord(r *addressRecord, now time.Time) bool {
	k := m.records[r.Author]
	if k == nil {
		k = &knownRecord{}
		m.records[r.Author] = k
	}
	if !k.limit.allow(now, recordBurst, 1) && !m.config.hooks.noLimits {
		return false
	}
	k.addressRecord = *r
	return true
}

// tellNewcomers passes a record on to those who were told where everybody is before it was known: two who come at
// once would not find each other.
func (m *Meeting) tellNewcomers(r *addressRecord, now time.Time) {
	for _, p := range m.peers {
		if p.key != r.Author && now.Sub(p.addedAt) < newcomer {
			m.send(p, pairMessage{Addresses: [][]byte{encode(r)}})
		}
	}
}

func multiaddrs(raws [][]byte) []ma.Multiaddr {
	var all []ma.Multiaddr
	for _, raw := range raws {
		if a, err := ma.NewMultiaddrBytes(raw); err == nil {
			all = append(all, a)
		}
	}
	return all
}
