/* `mailweir status`, the terminal: draws a view, tells keys. The only user of curses. */
#ifndef STATUS_SCREEN_H
#define STATUS_SCREEN_H

#include "status_view.h"

enum status_key { STATUS_KEY_NONE, STATUS_KEY_QUIT, STATUS_KEY_DRAW, STATUS_KEY_FETCH };

/* False when this is no terminal that curses knows. */
bool status_screen_open(void);
void status_screen_close(void);
void status_screen_size(unsigned *width_r, unsigned *rows_r);
void status_screen_draw(const struct status_view *v);
/* Wait for a key or a change of size, at most that long. */
enum status_key status_screen_wait(int ms);

#endif
