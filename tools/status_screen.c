#include "status_screen.h"

#include <curses.h>
#include <stdlib.h>
#include <termcap.h>
#include <unistd.h>

static SCREEN *screen;
static attr_t looks[STATUS_LOOK_COUNT];

/* Meaning by colour where there is some, else by weight. */
static void make_looks(void)
{
	static const short colours[STATUS_LOOK_COUNT] = {
		[STATUS_GOOD] = COLOR_GREEN,
		[STATUS_WARN] = COLOR_YELLOW,
		[STATUS_BAD] = COLOR_RED,
	};

	looks[STATUS_PLAIN] = A_NORMAL;
	looks[STATUS_TITLE] = A_REVERSE;
	looks[STATUS_GOOD] = looks[STATUS_WARN] = looks[STATUS_BAD] = A_BOLD;
	if (!has_colors() || start_color() == ERR)
		return;
	use_default_colors();
	for (short i = STATUS_GOOD; i < STATUS_LOOK_COUNT; i++)
		if (init_pair(i, colours[i], -1) == OK)
			looks[i] = A_BOLD | COLOR_PAIR(i);
}

bool status_screen_open(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || term == NULL)
		return false;
	/* Asked first, because newterm() of ncurses 6.4 loses memory when it does not know the
	 * terminal. */
	if (tgetent(NULL, term) != 1)
		return false;
	screen = newterm(NULL, stdout, stdin);
	if (screen == NULL)
		return false;
	set_term(screen);
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	make_looks();
	return true;
}

void status_screen_close(void)
{
	if (screen == NULL)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

void status_screen_size(unsigned *width_r, unsigned *rows_r)
{
	int rows, width;

	getmaxyx(stdscr, rows, width);
	*width_r = width > 0 ? (unsigned)width : 1;
	*rows_r = rows > 0 ? (unsigned)rows : 1;
}

void status_screen_draw(const struct status_view *v)
{
	int rows, width;

	getmaxyx(stdscr, rows, width);
	erase();
	for (size_t i = 0; i < v->count && i < (size_t)rows; i++) {
		attrset(looks[v->lines[i].look]);
		mvaddnstr((int)i, 0, v->lines[i].text, width);
		if (v->lines[i].look == STATUS_TITLE) /* a bar over the whole width */
			for (int x = getcurx(stdscr);
				x > 0 && x < width && getcury(stdscr) == (int)i; x++)
				mvaddch((int)i, x, ' ');
	}
	attrset(A_NORMAL);
	refresh();
}

enum status_key status_screen_wait(int ms)
{
	timeout(ms);
	switch (getch()) {
	case ERR:
		return STATUS_KEY_NONE;
	case 'q':
	case 'Q':
		return STATUS_KEY_QUIT;
	case KEY_RESIZE:
		return STATUS_KEY_DRAW;
	case 12: /* control-L: the terminal may have been written over */
		clearok(curscr, TRUE);
		return STATUS_KEY_DRAW;
	default:
		return STATUS_KEY_FETCH;
	}
}
