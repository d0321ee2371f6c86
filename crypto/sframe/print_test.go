package sframe

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// disguises returns the ways in which a printer may show secret bytes.
func disguises(b []byte) []string {
	decimal := strings.Trim(fmt.Sprint(b), "[]")
	goSyntax := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}")
	return []string{
		string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		decimal, strings.ReplaceAll(decimal, " ", ","), goSyntax, strings.Trim(fmt.Sprintf("%q", b), `"`),
		base64.StdEncoding.EncodeToString(b)[:len(b)], base64.RawURLEncoding.EncodeToString(b)[:len(b)],
	}
}

// shows reports whether out holds four bytes in a row of any of the secrets, or a
// whole one in disguise.
func shows(out string, secrets [][]byte) bool {
	for _, s := range secrets {
		for _, d := range disguises(s) {
			if strings.Contains(out, d) {
				return true
			}
		}
		for i := 0; i+4 <= len(s); i++ {
			if strings.Contains(strings.ToLower(out), hex.EncodeToString(s[i:i+4])) {
				return true
			}
		}
	}
	return false
}

// everyPrint prints v in every way that a program is likely to.
func everyPrint(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%T", "%10.3v"} {
		out[verb] = fmt.Sprintf(verb, v)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("test", "value", v, slog.Group("group", "value", v))
		out[name] = b.String()
	}
	j, err := json.Marshal(v)
	out["JSON"] = fmt.Sprint(string(j), err)
	out["error"] = fmt.Errorf("failed with %v", v).Error()
	return out
}

func TestNothingSecretIsPrinted(t *testing.T) {
	base := pattern(11, 32)
	for _, suite := range bothSuites {
		v := trace(t, suite, 0xc0ffee, 5, base, nil, nil)
		secrets := [][]byte{base, v.Secret, v.Key, v.Salt}
		key, err := NewKey(suite, 0xc0ffee, base)
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := NewSealer(suite, 0xc0ffee, base)
		if err != nil {
			t.Fatal(err)
		}
		type holder struct {
			Key    *Key
			hidden *Key
			Sealer *Sealer
		}
		for name, value := range map[string]any{
			"Key": key, "Sealer": sealer,
			"in a struct":  holder{key, key, sealer},
			"in a pointer": &holder{key, key, sealer},
			"in a slice":   []*Key{key},
			"in a map":     map[string]*Sealer{"s": sealer},
		} {
			for how, out := range everyPrint(value) {
				if shows(out, secrets) {
					t.Errorf("%s by %s shows a secret: %s", name, how, out)
				}
				if (name == "Key" || name == "Sealer") && how != "%T" && how != "JSON" && !strings.Contains(out, "0xc0ffee") {
					t.Errorf("%s by %s does not say which key it is: %s", name, how, out)
				}
			}
		}
		// Twin: the same bytes in a type without these methods are found, by every
		// printer that prints bytes.
		type naked struct{ Salt, Key []byte }
		for how, out := range everyPrint(&naked{v.Salt, v.Key}) {
			if how != "%T" && how != "%10.3v" && how != "% x" && !shows(out, secrets) {
				t.Errorf("twin by %s: the test does not find the secret in: %s", how, out)
			}
		}
		if out := fmt.Sprintf("%+v", key.secret.Load()); !shows(out, secrets[3:]) {
			t.Errorf("twin: what the Key holds is not found in: %s", out)
		}
	}
	for _, v := range []any{(*Key)(nil), (*Sealer)(nil)} {
		if out := fmt.Sprintf("%v %+v %#v", v, v, v); !strings.Contains(out, "nil") || strings.Contains(out, "PANIC") {
			t.Errorf("nil prints as %s", out)
		}
	}
}
