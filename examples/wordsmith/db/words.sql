CREATE TABLE words (kind text, word text);
INSERT INTO words VALUES
    ('noun', 'container'), ('noun', 'kernel'), ('noun', 'wherry'), ('noun', 'whale'),
    ('verb', 'mounts'), ('verb', 'carries'), ('verb', 'forks'), ('verb', 'isolates'),
    ('adjective', 'read-only'), ('adjective', 'restless'), ('adjective', 'shared'), ('adjective', 'tiny');
