package dht

import (
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"

	"github.com/huisclos/huisclos/meet/rendezvous/internal/sealed"
)

const (
	keyInfo  = "huisclos dht v1 key"
	sealInfo = "huisclos dht v1 seal"

	// A provider record holds addresses, and nodes keep those that look public. So what is sealed is written as parts of
	// partSize bytes, each after its number, in base32, as names under .alt.
	partSize = 135
	parts    = (sealed.Size + partSize - 1) / partSize
	maxLabel = 63
	zone     = ".alt"
	// maxRecord is how many addresses of a record are looked at.
	maxRecord = 16
)

var (
	nameEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	errNotOurs   = errors.New("dht: not an announcement of this topic")
)

// subject is a topic as the DHT sees it.
type subject struct {
	key []byte
	box sealed.Box
}

func newSubject(topic [32]byte) subject {
	return subject{key: sealed.Derive(topic, keyInfo, 32), box: sealed.NewBox(topic, sealInfo)}
}

// cid is the key as the DHT's interface wants it: what counts is a multihash, as if of SHA-256.
func (s subject) cid() (cid.Cid, error) {
	hash, err := mh.Encode(s.key, mh.SHA2_256)
	if err != nil {
		return cid.Undef, fmt.Errorf("dht: %w", err)
	}
	return cid.NewCidV1(cid.Raw, hash), nil
}

// record is what is announced, as addresses.
func (s subject) record(addrs []ma.Multiaddr) ([]ma.Multiaddr, error) {
	blob, err := s.box.Seal(addrs, s.key)
	if err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	var out []ma.Multiaddr
	for part := range slices.Chunk(blob, partSize) {
		text := nameEncoding.EncodeToString(append([]byte{byte(len(out))}, part...))
		var labels []string
		for label := range slices.Chunk([]byte(text), maxLabel) {
			labels = append(labels, string(label))
		}
		c, err := ma.NewComponent("dns", strings.Join(labels, ".")+zone)
		if err != nil {
			return nil, fmt.Errorf("dht: %w", err)
		}
		out = append(out, c.Multiaddr())
	}
	return out, nil
}

// open is the inverse of record, in whatever order the parts come. The error is errNotOurs.
func (s subject) open(record []ma.Multiaddr) ([]ma.Multiaddr, error) {
	var all [parts][]byte
	for _, a := range record[:min(len(record), maxRecord)] {
		if len(a) != 1 || a[0].Code() != ma.P_DNS {
			continue
		}
		text, ok := strings.CutSuffix(a[0].Value(), zone)
		if !ok {
			continue
		}
		raw, err := nameEncoding.DecodeString(strings.ReplaceAll(text, ".", ""))
		if err == nil && len(raw) > 1 && len(raw) <= 1+partSize && int(raw[0]) < parts {
			all[raw[0]] = raw[1:]
		}
	}
	addrs, err := s.box.Open(slices.Concat(all[:]...), s.key)
	if err != nil {
		return nil, errNotOurs
	}
	return addrs, nil
}
