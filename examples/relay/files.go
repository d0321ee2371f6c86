package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/huisclos/huisclos/transport/relayauth"
)

// loadKey reads the relay's key, PKCS #8 in PEM, or makes it where there is no file.
func loadKey(path string) (ed25519.PrivateKey, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, &problem{"can't read the key in " + path + ": " + reason(err), err}
	}
	if err := private(path); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, &problem{path + " holds no key: move it away to have a new one made, and hand out the relay's address again", nil}
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, &problem{path + " holds no Ed25519 key in PKCS #8", err}
	}
	return key, nil
}

func makeKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, create(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func publicKey(key ed25519.PrivateKey) relayauth.Key {
	return relayauth.Key(key.Public().(ed25519.PublicKey))
}

// create writes a new file that nobody else can read.
func create(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(content)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return &problem{"can't make " + path + ": " + reason(err), err}
	}
	return nil
}

// loadTokens reads the list of tokens; where there is none, it is made with one token if that is wanted.
func loadTokens(path string, makeOne bool) (relayauth.Tokens, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && makeOne {
		if _, err := appendToken(path, "everybody"); err != nil {
			return relayauth.Tokens{}, err
		}
		f, err = os.Open(path)
	}
	if err != nil {
		return relayauth.Tokens{}, &problem{"can't read the tokens in " + path + ": " + reason(err), err}
	}
	defer func() { _ = f.Close() }()
	if err := private(path); err != nil {
		return relayauth.Tokens{}, err
	}
	tokens, err := relayauth.ReadTokens(f)
	if err != nil {
		return relayauth.Tokens{}, &problem{"the tokens in " + path + ": " + reason(err), err}
	}
	return tokens, nil
}

// appendToken makes a token and writes it to the end of the list.
func appendToken(path, name string) (relayauth.Token, error) {
	t := relayauth.NewToken()
	line := t.Text() + " " + name + "\n"
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		head := "# One token per line, then whose it is. Who loses a line is put out when the relay reads the file again (SIGHUP).\n"
		return t, create(path, []byte(head+line))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString(line)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return t, &problem{"can't write the new token to " + path + ": " + reason(err), err}
	}
	return t, nil
}

// private refuses a file of secrets that others on this machine can read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return err
	}
	if info.IsDir() {
		return &problem{path + " is a directory, not a file", nil}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return &problem{fmt.Sprintf("%s can be read by others on this machine: chmod 600 %s", path, path), nil}
	}
	return nil
}
