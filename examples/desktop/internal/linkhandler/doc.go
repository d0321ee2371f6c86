// Package linkhandler has the system open huisclos: links with this program, for this user alone, and undoes it.
//
//	Windows  HKEY_CURRENT_USER\Software\Classes\huisclos
//	Linux    a .desktop file in the user's applications, and the default in mimeapps.list
//	macOS    the application's Info.plist says so; nothing to do here
//
// It changes nothing unless it is asked to, runs no other program, and touches no line that isn't its own. What a link
// holds comes after "--", so that none can be taken for a flag.
package linkhandler
