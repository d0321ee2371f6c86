package crypto

import (
	stdcrypto "crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base32"
	"io"
	"strings"
)

// identityPrefix begins an exported identity; the number is its version.
const identityPrefix = "HUISCLOS-IDENTITY-1-"

var identityEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Identity is the long-lived Ed25519 key pair of a person. It may live in a hardware
// token: see NewIdentity. It signs one bundle for each meeting and start, and nothing
// else (IDN-1). It may be used by several goroutines if its Signer may.
type Identity struct {
	hidden
	signer stdcrypto.Signer
	key    IdentityKey
	seed   []byte // nil if the private key isn't ours to export
}

// GenerateIdentity makes a new identity.
func GenerateIdentity() *Identity { return generateIdentity(nil) }

func generateIdentity(random io.Reader) *Identity {
	seed := make([]byte, ed25519.SeedSize)
	fill(random, seed)
	return identityFromSeed(seed)
}

func identityFromSeed(seed []byte) *Identity {
	private := ed25519.NewKeyFromSeed(seed)
	return &Identity{
		signer: private,
		key:    IdentityKey(private.Public().(ed25519.PublicKey)),
		seed:   seed,
	}
}

// NewIdentity makes an identity of a key that lives elsewhere, such as in a hardware
// token or an agent. The signer's public key must be an ed25519.PublicKey, and Sign
// must sign the message itself (crypto.Hash(0)). The errors are ErrSigner and
// ErrWeakKey.
func NewIdentity(signer stdcrypto.Signer) (*Identity, error) {
	if signer == nil {
		return nil, ErrSigner
	}
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, ErrSigner
	}
	key := IdentityKey(public)
	if err := key.Check(); err != nil {
		return nil, err
	}
	return &Identity{signer: signer, key: key}, nil
}

// ParseIdentity reads what Export wrote; white space around it is ignored. The
// errors are ErrIdentityMalformed, ErrIdentityVersion and ErrIdentityChanged.
func ParseIdentity(text string) (*Identity, error) {
	text = strings.TrimSpace(text)
	encoded, ok := strings.CutPrefix(text, identityPrefix)
	if !ok {
		if strings.HasPrefix(text, "HUISCLOS-IDENTITY-") {
			return nil, ErrIdentityVersion
		}
		return nil, ErrIdentityMalformed
	}
	if len(encoded) != identityEncoding.EncodedLen(ed25519.SeedSize+4) {
		return nil, ErrIdentityChanged
	}
	raw, err := identityEncoding.DecodeString(encoded)
	// The decoder skips line ends and forgives stray low bits: one identity, one text.
	if err != nil || len(raw) != ed25519.SeedSize+4 || identityEncoding.EncodeToString(raw) != encoded {
		return nil, ErrIdentityChanged
	}
	seed, sum := raw[:ed25519.SeedSize:ed25519.SeedSize], raw[ed25519.SeedSize:]
	if subtle.ConstantTimeCompare(identityChecksum(seed), sum) != 1 {
		return nil, ErrIdentityChanged
	}
	return identityFromSeed(seed), nil
}

// Export returns the identity as text (SPEC section 2). Whoever has it is the person:
// encrypt it before storing. For an identity made by NewIdentity, or wiped, the error
// is ErrNotExportable.
func (i *Identity) Export() (string, error) {
	if i.seed == nil {
		return "", ErrNotExportable
	}
	raw := append(append(make([]byte, 0, len(i.seed)+4), i.seed...), identityChecksum(i.seed)...)
	defer wipe(raw)
	return identityPrefix + identityEncoding.EncodeToString(raw), nil
}

func identityChecksum(seed []byte) []byte {
	sum := HashOf(labelIdentityChecksum, seed)
	return sum[:4]
}

// Public returns the key that names the person.
func (i *Identity) Public() IdentityKey { return i.key }

// Wipe overwrites the private key, if it is ours. The identity can't sign afterwards.
func (i *Identity) Wipe() {
	wipe(i.seed)
	if private, ok := i.signer.(ed25519.PrivateKey); ok && i.seed != nil {
		wipe(private)
	}
	i.seed, i.signer = nil, nil
}

// NewIncarnation makes fresh keys for one start in one meeting and has the identity
// sign them. It may ask the user for a touch of the token, and so take its time. The
// error is ErrSigner, which wraps the signer's own.
func (i *Identity) NewIncarnation(meeting MeetingID) (*Incarnation, error) {
	return i.newIncarnation(meeting, nil)
}

func (i *Identity) newIncarnation(meeting MeetingID, random io.Reader) (*Incarnation, error) {
	if i.signer == nil {
		return nil, ErrSigner
	}
	// IDN-2: both keys are fresh, and stored nowhere.
	seed, static := make([]byte, ed25519.SeedSize), make([]byte, 32)
	fill(random, seed)
	fill(random, static)
	defer wipe(seed)
	n := &Incarnation{meeting: meeting, key: ed25519.NewKeyFromSeed(seed), static: static}
	private, err := ecdh.X25519().NewPrivateKey(static)
	if err != nil {
		return nil, err
	}
	b := Bundle{
		Identity:   i.key,
		MeetingKey: MeetingKey(n.key.Public().(ed25519.PublicKey)),
		Static:     StaticKey(private.PublicKey().Bytes()),
	}
	// IDN-1: the only thing an identity ever signs.
	sig, err := i.signer.Sign(nil, signed(labelBundle, meeting[:], b.MeetingKey[:], b.Static[:]), stdcrypto.Hash(0))
	if err != nil {
		return nil, &signerError{err}
	}
	if len(sig) != len(b.Signature) {
		return nil, ErrSigner
	}
	b.Signature = Signature(sig)
	if err := b.Verify(meeting); err != nil { // a token that signs something else
		return nil, ErrSigner
	}
	n.bundle = b
	return n, nil
}

// Incarnation is one identity in one meeting during one run of the program: a fresh
// meeting key and static, bound by the bundle. It may be used by several goroutines,
// but not beside Wipe.
type Incarnation struct {
	hidden
	meeting MeetingID
	bundle  Bundle
	key     ed25519.PrivateKey
	static  []byte
}

// Meeting returns the meeting it was made for.
func (n *Incarnation) Meeting() MeetingID { return n.meeting }

// Bundle returns what others verify it by.
func (n *Incarnation) Bundle() Bundle { return n.bundle }

// Identity returns the person's key.
func (n *Incarnation) Identity() IdentityKey { return n.bundle.Identity }

// Key returns the meeting key.
func (n *Incarnation) Key() MeetingKey { return n.bundle.MeetingKey }

// Sign signs label and parts with the meeting key (SPEC section 1).
func (n *Incarnation) Sign(label string, parts ...[]byte) Signature {
	return sign(n.key, label, parts...)
}

// PrivateKey returns a copy of the meeting key's private half, for the libp2p host
// and nothing else.
func (n *Incarnation) PrivateKey() ed25519.PrivateKey {
	return append(ed25519.PrivateKey(nil), n.key...)
}

// Wipe overwrites the private keys. The incarnation is of no use afterwards.
func (n *Incarnation) Wipe() { wipe(n.key, n.static) }
