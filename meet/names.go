package meet

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// nameKey is equal for names that people take for the same (CON-2): without case, marks, spaces and punctuation, in
// compatibility form, and with the letters of other scripts that look like Latin ones as those. It is no more than that: it doesn't know
// of words in another order, of nicknames, of other spellings, or of every character there is.
func nameKey(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		if s, ok := looksLike[r]; ok {
			b.WriteString(s)
			continue
		}
		r = unicode.ToLower(r)
		if s, ok := looksLike[r]; ok {
			b.WriteString(s)
		} else if unicode.IsLetter(r) || unicode.IsNumber(r) {
			b.WriteRune(r)
		}
	}
	key := strings.NewReplacer("rn", "m", "vv", "w").Replace(b.String())
	if key == "" { // symbols alone
		return strings.Join(strings.Fields(norm.NFKC.String(name)), "")
	}
	return key
}

// looksLike has small letters, and those capitals that look like others than their small letters do.
var looksLike = func() map[rune]string {
	m := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe"}
	pairs := func(from, to string) {
		latin := []rune(to)
		for i, r := range []rune(from) {
			m[r] = string(latin[i])
		}
	}
	pairs("0i1|ıɩɪłøđðħŧþȷɑɡƒ", "ollllllloddhtpjagf")                   // Latin
	pairs("ᴀʙᴄᴅᴇɢʜᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdeghjklmnoprstuvwyz")           // small capitals
	pairs("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεγηικνορτυχω", "abezhlkmnoptyxaeynlkvoptuxw") // Greek
	pairs("авекмнорстухіјѕԁһԛԝѵгпӏь", "abekmhopctyxljsdhqwvrnlb")       // Cyrillic
	pairs("Օօոսհցզ", "oonuhgq")                                         // Armenian
	return m
}()
