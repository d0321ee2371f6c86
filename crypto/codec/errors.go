package codec

// Reason says in one word why Marshal or Unmarshal refused. It is an error, so
// errors.Is(err, codec.ErrTooLarge) works on what either of them returns.
type Reason uint8

const (
	// ErrTooLarge means: more bytes than the caller's limit, nesting deeper than
	// MaxDepth, or an array or map of more than MaxElements.
	ErrTooLarge Reason = iota + 1
	// ErrMalformed means: not CBOR, cut short, bytes left over, text that is not UTF-8,
	// or a kind of item this codec leaves out (tag, floating point, null,
	// undefined, other simple values, indefinite length).
	ErrMalformed
	// ErrMismatch means: well-formed, but not this message: an unknown field, an item
	// of the wrong type, an integer out of the field's range.
	ErrMismatch
	// ErrNotCanonical means: it decodes, but it is not how Marshal writes that value
	// (a longer integer, keys out of order or twice, an explicit zero where the
	// field would be left out, a byte string of the wrong size for its array).
	ErrNotCanonical
	// ErrUnsupported means: the Go value given to Marshal has no encoding here, or the
	// target given to Unmarshal is not a non-nil pointer. A mistake in the
	// calling code, never caused by input.
	ErrUnsupported
)

// Error says what the reason stands for. It is a fixed text.
func (r Reason) Error() string {
	switch r {
	case ErrTooLarge:
		return "codec: too large"
	case ErrMalformed:
		return "codec: malformed"
	case ErrMismatch:
		return "codec: not the expected message"
	case ErrNotCanonical:
		return "codec: not canonical"
	case ErrUnsupported:
		return "codec: unsupported Go value"
	default:
		return "codec: refused"
	}
}

// Error is what Marshal and Unmarshal return. Its text is made of fixed words and
// names of Go fields; it never holds a byte of the data.
type Error struct {
	// Reason is the class of refusal, which errors.Is also finds.
	Reason Reason
	detail string
}

// Error gives the reason and, where known, the rule that was broken.
func (e *Error) Error() string {
	if e.detail == "" {
		return e.Reason.Error()
	}
	return e.Reason.Error() + ": " + e.detail
}

// Unwrap returns the Reason, for errors.Is.
func (e *Error) Unwrap() error { return e.Reason }

func refuse(r Reason, detail string) *Error { return &Error{Reason: r, detail: detail} }
