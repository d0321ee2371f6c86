package meet

import "testing"

// TestNameKey covers CON-2: which names read like each other, and which don't.
func TestNameKey(t *testing.T) {
	for _, same := range [][]string{
		{"Maître Dupont", "maitre dupont", "MAÎTRE  DUPONT", "Maitre-Dupont.", " Maître\u00a0Dupont", "Ma\u0131tre Dupont", "M\u0430itre Dup\u043ent",
			"Mai\u200btre Dupont", "Ｍaître Ｄupont", "𝐌aître Dupont", "Maı\u0302tre Dupont", "Мaître Dupоnt", "Maître Dup0nt"},
		{"Ivan", "lvan", "1van", "IVAN", "Ιvan", "іvan"},
		{"Marn", "Mam", "mаrn"},
		{"Strauß", "STRAUSS", "Strauss"},
		{"Œuvre", "oeuvre"},
		{"Łukasz Ørsted", "Lukasz Orsted"},
		{"🔒🔒", "🔒 🔒"},
		{"Хосе", "Xoce"},
	} {
		for _, s := range same[1:] {
			if nameKey(s) != nameKey(same[0]) {
				t.Errorf("%q is %q, %q is %q", same[0], nameKey(same[0]), s, nameKey(s))
			}
		}
	}
	for _, pair := range [][2]string{{"Paul", "Paula"}, {"Dupont", "Dupond"}, {"🔒", "🔓"}, {"Paul Dupont", "Dupont Paul"}, {"Юлия", "Юлиан"}, {"李", "王"}} {
		if nameKey(pair[0]) == nameKey(pair[1]) {
			t.Errorf("%q and %q are %q", pair[0], pair[1], nameKey(pair[0]))
		}
	}
}
