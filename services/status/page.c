#include "page.h"

/* Paths are relative to the root of the tree, where make runs the compiler. */
#define EMBED(symbol, path)                                                                        \
	__asm__(".section .rodata\n"                                                               \
		".global " #symbol "\n"                                                            \
		".type " #symbol ", %object\n" #symbol ":\n"                                       \
		".incbin \"" path "\"\n"                                                           \
		".byte 0\n"                                                                        \
		".size " #symbol ", . - " #symbol "\n"                                             \
		".text\n")

EMBED(statussvc_page_html, "services/status/page.html");
EMBED(statussvc_page_css, "services/status/page.css");
EMBED(statussvc_page_js, "services/status/page.js");
