/* Exchanges two names for ever, as fast as the kernel can (renameat2(2), RENAME_EXCHANGE). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(int count, char **words)
{
	if (count != 3)
		return 2;
	while (!renameat2(AT_FDCWD, words[1], AT_FDCWD, words[2], RENAME_EXCHANGE))
		;
	perror("renameat2");
	return 1;
}
