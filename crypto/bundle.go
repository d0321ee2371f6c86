package crypto

// Bundle binds an incarnation's keys to an identity (SPEC section 2; its encoding is
// in wire.go). Only members see bundles.

// Verify checks the bundle for a meeting: the identity's signature over its keys and
// that meeting (IDN-3), and the keys themselves (IDN-4). The errors are ErrBundle and
// ErrWeakKey. It takes about 0.2 ms, so verify once and remember.
func (b Bundle) Verify(meeting MeetingID) error { return b.verify(meeting, hooks{}) }

func (b Bundle) verify(meeting MeetingID, off hooks) error {
	if !off.weakKeys { // IDN-4
		if b.Identity.Check() != nil || b.MeetingKey.Check() != nil || b.Static.Check() != nil {
			return ErrWeakKey
		}
	}
	if off.bundleMeeting {
		return nil
	}
	// IDN-3: the meeting is part of what is signed.
	if !b.Identity.Verify(labelBundle, b.Signature, meeting[:], b.MeetingKey[:], b.Static[:]) {
		return ErrBundle
	}
	return nil
}

// Hash returns H("bundle", encoding), which names the bundle in other messages.
func (b Bundle) Hash() Hash { return HashOf(labelBundle, b.Encode()) }

// Encode returns the bundle's one encoding.
func (b Bundle) Encode() []byte { return encode(b) }

// ParseBundle decodes a bundle; it doesn't verify it. The error is ErrMalformed.
func ParseBundle(data []byte) (Bundle, error) {
	var b Bundle
	return b, decode(data, maxBundle, &b)
}
