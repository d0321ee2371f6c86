package lan

import (
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/huisclos/huisclos/meet/rendezvous/internal/sealed"
)

// The form of what travels.
const (
	nameInfo = "huisclos lan v1 name"
	sealInfo = "huisclos lan v1 seal"
	// nameSize is how many bytes of the hash are the name: 26 letters and digits.
	nameSize = 16
	// recordTTL is in seconds: nobody need remember an answer.
	recordTTL = 10
	// maxMessage is the longest message that is read; one of ours has about 700 bytes.
	maxMessage = 1500
	maxString  = 255 // of a TXT record
	maxRecords = 16  // that are looked at in a message
)

var (
	nameEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	errNotOurs   = errors.New("lan: not an answer about this topic")
)

// subject is a topic as the network sees it.
type subject struct {
	name string // without ".local."
	box  sealed.Box
}

func newSubject(topic [32]byte) subject {
	name := nameEncoding.EncodeToString(sealed.Derive(topic, nameInfo, nameSize))
	return subject{name: name, box: sealed.NewBox(topic, sealInfo)}
}

func (s subject) full() dnsmessage.Name { return dnsmessage.MustNewName(s.name + ".local.") }

// answer is an mDNS response: one TXT record, whose strings together are the addresses, sealed with the name. To who asked from another port than mDNS's it repeats the ID and the question (RFC 6762 §6.7).
func (s subject) answer(addrs []ma.Multiaddr, id uint16, legacy bool) ([]byte, error) {
	content, err := s.box.Seal(addrs, []byte(s.name))
	if err != nil {
		return nil, fmt.Errorf("lan: %w", err)
	}
	var text []string
	for part := range slices.Chunk(content, maxString) {
		text = append(text, string(part))
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
	if legacy {
		m.ID, m.Questions = id, []dnsmessage.Question{s.asked()}
	}
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: s.full(), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET, TTL: recordTTL},
		Body:   &dnsmessage.TXTResource{TXT: text},
	}}
	return m.Pack()
}

func (s subject) asked() dnsmessage.Question {
	return dnsmessage.Question{Name: s.full(), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}
}

// question is an mDNS query.
func (s subject) question() ([]byte, error) {
	return (&dnsmessage.Message{Questions: []dnsmessage.Question{s.asked()}}).Pack()
}

// open returns the addresses of an answer about this topic. The error is errNotOurs.
func (s subject) open(message []byte) ([]ma.Multiaddr, error) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || p.SkipAllQuestions() != nil {
		return nil, errNotOurs
	}
	for range maxRecords {
		r, err := p.AnswerHeader()
		if err != nil {
			return nil, errNotOurs
		}
		if r.Type != dnsmessage.TypeTXT || nameOf(r.Name) != s.name {
			if p.SkipAnswer() != nil {
				return nil, errNotOurs
			}
			continue
		}
		text, err := p.TXTResource()
		if err != nil {
			return nil, errNotOurs
		}
		addrs, err := s.box.Open([]byte(strings.Join(text.TXT, "")), []byte(s.name))
		if err != nil {
			return nil, errNotOurs
		}
		return addrs, nil
	}
	return nil, errNotOurs
}

// questions returns the names a message asks for, and its ID.
func questions(message []byte) (names []string, id uint16) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || h.Response {
		return nil, 0
	}
	for range maxRecords {
		q, err := p.Question()
		if err != nil {
			break
		}
		if q.Type == dnsmessage.TypeTXT || q.Type == dnsmessage.TypeALL {
			names = append(names, nameOf(q.Name))
		}
	}
	return names, h.ID
}

// nameOf is the label before ".local.", lower case, "" for other names.
func nameOf(n dnsmessage.Name) string {
	label, local := strings.CutSuffix(strings.ToLower(n.String()), ".local.")
	if !local || strings.Contains(label, ".") {
		return ""
	}
	return label
}
