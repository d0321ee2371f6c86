package lan

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/dns/dnsmessage"
)

// The form of what travels.
const (
	nameInfo = "huisclos lan v1 name"
	sealInfo = "huisclos lan v1 seal"
	// nameSize is how many bytes of the hash are the name: 26 letters and digits.
	nameSize = 16
	// contentSize is how long what is sealed always is, so that its length says nothing.
	contentSize = 512
	// maxAddresses is how many addresses an answer has at most (SPEC §4.1).
	maxAddresses = 8
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
	seal cipher.AEAD
}

// derive makes n bytes for one purpose from a topic, which is a secret of those who have the link.
func derive(topic [32]byte, info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, topic[:], nil, info, n)
	if err != nil {
		panic("lan: " + err.Error()) // n is one of ours
	}
	return out
}

func newSubject(topic [32]byte) subject {
	block, err := aes.NewCipher(derive(topic, sealInfo, 32))
	if err != nil {
		panic("lan: " + err.Error()) // never for 32 bytes
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic("lan: " + err.Error()) // never for AES
	}
	return subject{name: nameEncoding.EncodeToString(derive(topic, nameInfo, nameSize)), seal: seal}
}

func (s subject) full() dnsmessage.Name { return dnsmessage.MustNewName(s.name + ".local.") }

// content is, for each address, its length in one byte and the binary multiaddr, padded with zeros to contentSize.
// Addresses that don't fit, or no more than maxAddresses, are left out.
func encodeContent(addrs []ma.Multiaddr) ([]byte, error) {
	out := make([]byte, 0, contentSize)
	for _, a := range addrs[:min(len(addrs), maxAddresses)] {
		if raw := a.Bytes(); len(raw) > 0 && len(raw) < 256 && len(out)+1+len(raw) <= contentSize {
			out = append(append(out, byte(len(raw))), raw...)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("lan: there is no address to announce")
	}
	return out[:contentSize], nil
}

func decodeContent(b []byte) (addrs []ma.Multiaddr, err error) {
	if len(b) != contentSize {
		return nil, errNotOurs
	}
	for len(b) > 0 && b[0] != 0 {
		n := int(b[0])
		if n >= len(b) || len(addrs) == maxAddresses {
			return nil, errNotOurs
		}
		a, err := ma.NewMultiaddrBytes(b[1 : 1+n])
		if err != nil {
			return nil, errNotOurs
		}
		addrs, b = append(addrs, a), b[1+n:]
	}
	return addrs, nil
}

// answer is an mDNS response: one TXT record, whose strings together are nonce ‖ AES-256-GCM(content), with the name as
// associated data. To who asked from another port than mDNS's it repeats the ID and the question (RFC 6762 §6.7).
func (s subject) answer(addrs []ma.Multiaddr, id uint16, legacy bool) ([]byte, error) {
	plain, err := encodeContent(addrs)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, s.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	sealed := s.seal.Seal(nonce, nonce, plain, []byte(s.name))
	var text []string
	for part := range slices.Chunk(sealed, maxString) {
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
		sealed := []byte(strings.Join(text.TXT, ""))
		n := s.seal.NonceSize()
		if len(sealed) < n {
			return nil, errNotOurs
		}
		plain, err := s.seal.Open(nil, sealed[:n], sealed[n:], []byte(s.name))
		if err != nil {
			return nil, errNotOurs
		}
		return decodeContent(plain)
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
