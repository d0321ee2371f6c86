package crypto

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
)

// hiddenText is all that formatting shows of a type that holds a secret.
const hiddenText = "(secret)"

// hidden is embedded in every exported type that holds a secret: its methods are
// promoted, so that fmt (with any verb), log/slog and encoding/json show
// hiddenText and not a byte more (IDN-5).
//
// fmt calls no methods on unexported fields of somebody else's struct. Types used
// by value therefore keep their secret behind a pointer as well.
type hidden struct{}

// String returns "(secret)".
func (hidden) String() string { return hiddenText }

// Format writes "(secret)" whatever the verb, %#v included.
func (hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hiddenText) }

// LogValue returns "(secret)".
func (hidden) LogValue() slog.Value { return slog.StringValue(hiddenText) }

// MarshalText returns "(secret)".
func (hidden) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

// MarshalJSON returns "(secret)".
func (hidden) MarshalJSON() ([]byte, error) { return []byte(`"` + hiddenText + `"`), nil }

// wipe overwrites secrets that are no longer needed (IDN-6). Copies that the
// compiler, the garbage collector or a library made are out of reach.
func wipe(secrets ...[]byte) {
	for _, s := range secrets {
		clear(s)
	}
}

// fill reads len(b) random bytes. crypto/rand never fails; a reader given by a test
// that runs dry is a mistake in the test.
func fill(random io.Reader, b []byte) {
	if random == nil {
		random = rand.Reader
	}
	if _, err := io.ReadFull(random, b); err != nil {
		panic("crypto: no randomness: " + err.Error())
	}
}
