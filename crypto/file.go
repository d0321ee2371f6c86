package crypto

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
)

// FileChunk is how many bytes of a file are sealed at a time; the last chunk may be shorter (SPEC section 9.5).
const FileChunk = 4 << 10

// FileID names a file that a member offers.
type FileID [16]byte

// FileIDOf names the file that a message of this author offers. The author is in it, so nobody can offer another file
// under the same name (FIL-1).
func FileIDOf(author MeetingKey, message MessageID) FileID {
	h := HashOf(labelFileID, author[:], message[:])
	return FileID(h[:16])
}

// String returns all 16 bytes in hex.
func (i FileID) String() string { return hex.EncodeToString(i[:]) }

// FileKey is the key of one transfer: whoever asks for a file makes a fresh one and tells the sender in their pair
// session (FIL-4). Copies share their memory. The zero value holds none.
type FileKey struct {
	hidden
	key *[32]byte
}

// NewFileKey makes a fresh one.
func NewFileKey() FileKey {
	k := FileKey{key: new([32]byte)}
	fill(nil, k.key[:])
	return k
}

// Wipe overwrites the key, in all copies of the value.
func (k FileKey) Wipe() {
	if k.key != nil {
		wipe(k.key[:])
	}
}

// MarshalCBOR gives the key to the one encoder there is. It goes into pair sessions, nowhere else.
func (k FileKey) MarshalCBOR() ([]byte, error) {
	if k.key == nil {
		return nil, ErrMalformed
	}
	return encode(*k.key), nil
}

// UnmarshalCBOR is the inverse of MarshalCBOR.
func (k *FileKey) UnmarshalCBOR(data []byte) (err error) {
	k.key, err = decode32(data)
	return err
}

// FileCipher seals or opens the chunks of one transfer (SPEC section 9.5). It is for one goroutine.
type FileCipher struct {
	hidden
	aead  cipher.AEAD
	aad   [32 + 8 + 1]byte
	nonce [12]byte

	off hooks
}

// Cipher returns what seals the chunks of a transfer under this key, or opens them. It refuses a key that is missing with
// ErrMalformed.
func (k FileKey) Cipher(meeting MeetingID, sender, receiver MeetingKey, file FileID) (*FileCipher, error) {
	if k.key == nil {
		return nil, ErrMalformed
	}
	secret := expand(k.key[:], labelFileChunks, 32)
	defer wipe(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	c := &FileCipher{aead: aead}
	context := HashOf(labelFileTransfer, meeting[:], sender[:], receiver[:], file[:])
	copy(c.aad[:], context[:])
	return c, nil
}

// bind sets nonce and associated data for a chunk (FIL-5).
func (c *FileCipher) bind(index uint64, last bool) []byte {
	binary.BigEndian.PutUint64(c.nonce[4:], index)
	binary.BigEndian.PutUint64(c.aad[32:], index)
	c.aad[40] = 0
	if last {
		c.aad[40] = 1
	}
	if c.off.fileContext {
		return nil
	}
	return c.aad[:]
}

// Seal appends a sealed chunk to dst. A sender seals each index at most once with one cipher, as the nonce is the index.
func (c *FileCipher) Seal(dst []byte, index uint64, last bool, chunk []byte) []byte {
	aad := c.bind(index, last)
	return c.aead.Seal(dst, c.nonce[:], chunk, aad)
}

// Open appends an opened chunk to dst. One of another transfer, place or length fails with ErrRefused.
func (c *FileCipher) Open(dst []byte, index uint64, last bool, sealed []byte) ([]byte, error) {
	aad := c.bind(index, last)
	out, err := c.aead.Open(dst, c.nonce[:], sealed, aad)
	if err != nil {
		return nil, ErrRefused
	}
	return out, nil
}
