package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"time"

	"github.com/flynn/noise"
)

// pairAttempt is an initiation under way, on the initiator's side.
type pairAttempt struct {
	id      uint8
	noise   *noise.HandshakeState
	kem     *mlkem.DecapsulationKey768
	packet  []byte
	started time.Time
	sent    time.Time
}

// pairOffer is an initiation that waits for an answer, on the responder's side.
type pairOffer struct {
	id         uint8
	noise      *noise.HandshakeState
	kem        *mlkem.EncapsulationKey768
	initiation Hash
}

func (p *PairSession) handshake() (*noise.HandshakeState, error) {
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:   noiseSuite,
		Pattern:       noise.HandshakeKK,
		Initiator:     p.initiator,
		Prologue:      p.prologue,
		StaticKeypair: p.inc.noiseKey(),
		PeerStatic:    p.peer.Static[:],
	})
}

// Initiate begins a fresh handshake, in place of one under way, and returns its
// packet. early travels in it, encrypted, but may be replayed to the peer and is not
// protected against quantum computers: hints only, no keys. The errors are ErrNoSession
// for the side that doesn't initiate, and ErrFrameTooLarge.
func (p *PairSession) Initiate(now time.Time, early []byte) ([]byte, error) {
	if !p.initiator || p.peer == (Bundle{}) {
		return nil, ErrNoSession
	}
	if len(early) > MaxEarlyData {
		return nil, ErrFrameTooLarge
	}
	hs, err := p.handshake()
	if err != nil {
		return nil, ErrNoSession
	}
	kem, err := mlkem.GenerateKey768()
	if err != nil {
		return nil, ErrNoSession
	}
	a := &pairAttempt{id: p.nextID, noise: hs, kem: kem, started: now, sent: now}
	p.nextID++
	payload := append(kem.EncapsulationKey().Bytes(), early...)
	a.packet, _, _, err = hs.WriteMessage([]byte{pairInitiation, a.id}, payload)
	if err != nil {
		return nil, ErrNoSession
	}
	p.attempt = a
	return a.packet, nil
}

// receiveInitiation reads message 1 and changes nothing that carries data (PAI-2).
func (p *PairSession) receiveInitiation(now time.Time, packet []byte) (PairEvent, error) {
	if p.initiator || p.peer == (Bundle{}) {
		return PairEvent{}, ErrRefused
	}
	if !p.answers.allow(now) && !p.off.answerLimit { // PAI-5, before any work
		return PairEvent{}, ErrRefused
	}
	name := Hash(sha256.Sum256(packet))
	if p.offered != nil && p.offered.initiation == name {
		return PairEvent{}, ErrRefused // Respond is still to come
	}
	for _, k := range append([]*pairKeys{p.current, p.previous}, p.pending...) {
		if k != nil && k.initiation == name { // our answer was lost, or a replay: the same again
			return PairEvent{Reply: k.response}, nil
		}
	}
	hs, err := p.handshake()
	if err != nil {
		return PairEvent{}, ErrRefused
	}
	payload, _, _, err := hs.ReadMessage(nil, packet[2:])
	if err != nil || len(payload) < mlkem.EncapsulationKeySize768 {
		return PairEvent{}, ErrRefused
	}
	kem, err := mlkem.NewEncapsulationKey768(payload[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return PairEvent{}, ErrRefused
	}
	p.offered = &pairOffer{id: packet[1], noise: hs, kem: kem, initiation: name}
	return PairEvent{Respond: true, Hint: payload[mlkem.EncapsulationKeySize768:]}, nil
}

// Respond answers the initiation that Receive told of last and returns the packet.
// early travels in it, authenticated, but not protected against quantum computers: no
// keys. The errors are ErrNoSession if there is nothing to answer, and ErrFrameTooLarge.
func (p *PairSession) Respond(now time.Time, early []byte) ([]byte, error) {
	o := p.offered
	if o == nil {
		return nil, ErrNoSession
	}
	if len(early) > MaxEarlyData {
		return nil, ErrFrameTooLarge
	}
	p.offered = nil
	shared, ciphertext := o.kem.Encapsulate()
	defer wipe(shared)
	packet, k1, k2, err := o.noise.WriteMessage([]byte{pairResponse, o.id}, append(ciphertext, early...))
	if err != nil {
		return nil, ErrNoSession
	}
	k := p.deriveKeys(o.id, o.noise.ChannelBinding(), k1, k2, shared)
	k.born, k.initiation, k.response = now, o.initiation, packet
	if p.off.installEarly {
		p.install(now, k)
		return packet, nil
	}
	if len(p.pending) == pairPending {
		p.pending = p.pending[1:]
	}
	p.pending = append(p.pending, k)
	return packet, nil
}

// receiveResponse reads message 2. It proves that the peer is there now, so the
// session is installed at once; an empty data packet lets the peer do the same.
func (p *PairSession) receiveResponse(now time.Time, packet []byte) (PairEvent, error) {
	a := p.attempt
	if a == nil || a.id != packet[1] {
		return PairEvent{}, ErrRefused
	}
	// PAI-6: for an ephemeral of small order the Noise library fails midway and leaves
	// the handshake unusable, so such a packet would not have changed nothing.
	if len(packet) < 2+32 || smallOrder([32]byte(packet[2:])) && !p.off.ephemeralCheck {
		return PairEvent{}, ErrRefused
	}
	payload, k1, k2, err := a.noise.ReadMessage(nil, packet[2:])
	if err != nil || len(payload) < mlkem.CiphertextSize768 {
		return PairEvent{}, ErrRefused
	}
	shared, err := a.kem.Decapsulate(payload[:mlkem.CiphertextSize768])
	if err != nil {
		return PairEvent{}, ErrRefused
	}
	defer wipe(shared)
	k := p.deriveKeys(a.id, a.noise.ChannelBinding(), k1, k2, shared)
	k.born = now
	p.attempt = nil
	p.install(now, k)
	return PairEvent{Early: payload[mlkem.CiphertextSize768:], Reply: k.seal(nil), Installed: true}, nil
}

func (p *PairSession) deriveKeys(id uint8, h []byte, c1, c2 *noise.CipherState, shared []byte) *pairKeys {
	k1, k2 := c1.UnsafeKey(), c2.UnsafeKey()
	defer wipe(k1[:], k2[:])
	if p.off.hybrid {
		shared = nil
	}
	keys := pairDataKeys(h, k1[:], k2[:], shared)
	defer wipe(keys)
	k := &pairKeys{id: id, send: newGCM(keys[:32]), receive: newGCM(keys[32:])}
	if !p.initiator {
		k.send, k.receive = k.receive, k.send
	}
	return k
}

// pairDataKeys returns the initiator's key and the responder's. Both Noise's secrets
// and ML-KEM's are needed to know them (PAI-1).
func pairDataKeys(h, k1, k2, shared []byte) []byte {
	secret := append(append(append(make([]byte, 0, 96), k1...), k2...), shared...)
	defer wipe(secret)
	keys, err := hkdf.Key(sha256.New, secret, h, pairKeysInfo, 64)
	if err != nil {
		panic("crypto: " + err.Error()) // never for 64 bytes
	}
	return keys
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("crypto: " + err.Error()) // never for 32 bytes
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("crypto: " + err.Error())
	}
	return aead
}
