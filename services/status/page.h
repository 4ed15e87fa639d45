/* The web page, compiled in from page.html, page.css and page.js. NUL-terminated. */
#ifndef STATUSSVC_PAGE_H
#define STATUSSVC_PAGE_H

extern const char statussvc_page_html[];
extern const char statussvc_page_css[];
extern const char statussvc_page_js[];

#endif
