package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/huisclos/huisclos/crypto"
)

// minKey is how many digits of a key are enough to name somebody: few enough to type, and so many that nobody makes
// a key on purpose which begins with somebody else's name.
const minKey = 8

// person is somebody a command may be about.
type person struct {
	key  crypto.IdentityKey
	name string
}

// find returns the one person meant by who: a name, whatever its case, or the beginning of a key. It refuses, with
// the candidates, when there are several, for names prove nothing and anybody may take somebody else's.
func find(who string, among []person) (person, error) {
	var found []person
	for _, p := range among {
		if strings.EqualFold(p.name, who) || isBeginning(who, p.key) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return person{}, fmt.Errorf("nobody here is called %q, nor has a key that begins so", who)
	case 1:
		return found[0], nil
	}
	candidates := make([]string, len(found))
	for i, p := range found {
		candidates[i] = fmt.Sprintf("%s %s", p.name, p.key)
	}
	return person{}, fmt.Errorf("%q may be %s: say which by the beginning of the key", who, strings.Join(candidates, " or "))
}

// anybody says whether who is anybody among them.
func anybody(who string, among []person) bool {
	return slices.ContainsFunc(among, func(p person) bool { return strings.EqualFold(p.name, who) || isBeginning(who, p.key) })
}

func isBeginning(who string, key crypto.IdentityKey) bool {
	return len(who) >= minKey && strings.HasPrefix(hexKey(key), strings.ToLower(who))
}

func hexKey(k crypto.IdentityKey) string { return hexBytes(k[:]) }

func hexBytes(b []byte) string { return hex.EncodeToString(b) }
