/// Texts that experiments train on, so that they need no file.
enum SampleText {
  /// Its beginning, which is too short for a network of many parameters.
  static var shortGenesis: Substring.UTF8View { genesis.utf8.prefix(12_000) }

  /// The first nine chapters of Genesis in the King James Version of 1611.
  static let genesis = """
    In the beginning God created the heaven and the earth. And the earth was without form, and
    void; and darkness was upon the face of the deep. And the Spirit of God moved upon the face
    of the waters. And God said, Let there be light: and there was light. And God saw the light,
    that it was good: and God divided the light from the darkness. And God called the light Day,
    and the darkness he called Night. And the evening and the morning were the first day. And
    God said, Let there be a firmament in the midst of the waters, and let it divide the waters
    from the waters. And God made the firmament, and divided the waters which were under the
    firmament from the waters which were above the firmament: and it was so. And God called the
    firmament Heaven. And the evening and the morning were the second day. And God said, Let the
    waters under the heaven be gathered together unto one place, and let the dry land appear:
    and it was so. And God called the dry land Earth; and the gathering together of the waters
    called he Seas: and God saw that it was good. And God said, Let the earth bring forth grass,
    the herb yielding seed, and the fruit tree yielding fruit after his kind, whose seed is in
    itself, upon the earth: and it was so. And the earth brought forth grass, and herb yielding
    seed after his kind, and the tree yielding fruit, whose seed was in itself, after his kind:
    and God saw that it was good. And the evening and the morning were the third day. And God
    said, Let there be lights in the firmament of the heaven to divide the day from the night;
    and let them be for signs, and for seasons, and for days, and years: And let them be for
    lights in the firmament of the heaven to give light upon the earth: and it was so. And God
    made two great lights; the greater light to rule the day, and the lesser light to rule the
    night: he made the stars also. And God set them in the firmament of the heaven to give light
    upon the earth, And to rule over the day and over the night, and to divide the light from
    the darkness: and God saw that it was good. And the evening and the morning were the fourth
    day. And God said, Let the waters bring forth abundantly the moving creature that hath life,
    and fowl that may fly above the earth in the open firmament of heaven. And God created great
    whales, and every living creature that moveth, which the waters brought forth abundantly,
    after their kind, and every winged fowl after his kind: and God saw that it was good. And
    God blessed them, saying, Be fruitful, and multiply, and fill the waters in the seas, and
    let fowl multiply in the earth. And the evening and the morning were the fifth day. And God
    said, Let the earth bring forth the living creature after his kind, cattle, and creeping
    thing, and beast of the earth after his kind: and it was so. And God made the beast of the
    earth after his kind, and cattle after their kind, and every thing that creepeth upon the
    earth after his kind: and God saw that it was good. And God said, Let us make man in our
    image, after our likeness: and let them have dominion over the fish of the sea, and over the
    fowl of the air, and over the cattle, and over all the earth, and over every creeping thing
    that creepeth upon the earth. So God created man in his own image, in the image of God
    created he him; male and female created he them. And God blessed them, and God said unto
    them, Be fruitful, and multiply, and replenish the earth, and subdue it: and have dominion
    over the fish of the sea, and over the fowl of the air, and over every living thing that
    moveth upon the earth. And God said, Behold, I have given you every herb bearing seed, which
    is upon the face of all the earth, and every tree, in the which is the fruit of a tree
    yielding seed; to you it shall be for meat. And to every beast of the earth, and to every
    fowl of the air, and to every thing that creepeth upon the earth, wherein there is life, I
    have given every green herb for meat: and it was so. And God saw every thing that he had
    made, and, behold, it was very good. And the evening and the morning were the sixth day.
    Thus the heavens and the earth were finished, and all the host of them. And on the seventh
    day God ended his work which he had made; and he rested on the seventh day from all his work
    which he had made. And God blessed the seventh day, and sanctified it: because that in it he
    had rested from all his work which God created and made. These are the generations of the
    heavens and of the earth when they were created, in the day that the LORD God made the earth
    and the heavens, And every plant of the field before it was in the earth, and every herb of
    the field before it grew: for the LORD God had not caused it to rain upon the earth, and
    there was not a man to till the ground. But there went up a mist from the earth, and watered
    the whole face of the ground. And the LORD God formed man of the dust of the ground, and
    breathed into his nostrils the breath of life; and man became a living soul. And the LORD
    God planted a garden eastward in Eden; and there he put the man whom he had formed. And out
    of the ground made the LORD God to grow every tree that is pleasant to the sight, and good
    for food; the tree of life also in the midst of the garden, and the tree of knowledge of
    good and evil. And a river went out of Eden to water the garden; and from thence it was
    parted, and became into four heads. The name of the first is Pison: that is it which
    compasseth the whole land of Havilah, where there is gold; And the gold of that land is
    good: there is bdellium and the onyx stone. And the name of the second river is Gihon: the
    same is it that compasseth the whole land of Ethiopia. And the name of the third river is
    Hiddekel: that is it which goeth toward the east of Assyria. And the fourth river is
    Euphrates. And the LORD God took the man, and put him into the garden of Eden to dress it
    and to keep it. And the LORD God commanded the man, saying, Of every tree of the garden thou
    mayest freely eat: But of the tree of the knowledge of good and evil, thou shalt not eat of
    it: for in the day that thou eatest thereof thou shalt surely die. And the LORD God said, It
    is not good that the man should be alone; I will make him an help meet for him. And out of
    the ground the LORD God formed every beast of the field, and every fowl of the air; and
    brought them unto Adam to see what he would call them: and whatsoever Adam called every
    living creature, that was the name thereof. And Adam gave names to all cattle, and to the
    fowl of the air, and to every beast of the field; but for Adam there was not found an help
    meet for him. And the LORD God caused a deep sleep to fall upon Adam, and he slept: and he
    took one of his ribs, and closed up the flesh instead thereof; And the rib, which the LORD
    God had taken from man, made he a woman, and brought her unto the man. And Adam said, This
    is now bone of my bones, and flesh of my flesh: she shall be called Woman, because she was
    taken out of Man. Therefore shall a man leave his father and his mother, and shall cleave
    unto his wife: and they shall be one flesh. And they were both naked, the man and his wife,
    and were not ashamed. Now the serpent was more subtil than any beast of the field which the
    LORD God had made. And he said unto the woman, Yea, hath God said, Ye shall not eat of every
    tree of the garden? And the woman said unto the serpent, We may eat of the fruit of the
    trees of the garden: But of the fruit of the tree which is in the midst of the garden, God
    hath said, Ye shall not eat of it, neither shall ye touch it, lest ye die. And the serpent
    said unto the woman, Ye shall not surely die: For God doth know that in the day ye eat
    thereof, then your eyes shall be opened, and ye shall be as gods, knowing good and evil. And
    when the woman saw that the tree was good for food, and that it was pleasant to the eyes,
    and a tree to be desired to make one wise, she took of the fruit thereof, and did eat, and
    gave also unto her husband with her; and he did eat. And the eyes of them both were opened,
    and they knew that they were naked; and they sewed fig leaves together, and made themselves
    aprons. And they heard the voice of the LORD God walking in the garden in the cool of the
    day: and Adam and his wife hid themselves from the presence of the LORD God amongst the
    trees of the garden. And the LORD God called unto Adam, and said unto him, Where art thou?
    And he said, I heard thy voice in the garden, and I was afraid, because I was naked; and I
    hid myself. And he said, Who told thee that thou wast naked? Hast thou eaten of the tree,
    whereof I commanded thee that thou shouldest not eat? And the man said, The woman whom thou
    gavest to be with me, she gave me of the tree, and I did eat. And the LORD God said unto the
    woman, What is this that thou hast done? And the woman said, The serpent beguiled me, and I
    did eat. And the LORD God said unto the serpent, Because thou hast done this, thou art
    cursed above all cattle, and above every beast of the field; upon thy belly shalt thou go,
    and dust shalt thou eat all the days of thy life: And I will put enmity between thee and the
    woman, and between thy seed and her seed; it shall bruise thy head, and thou shalt bruise
    his heel. Unto the woman he said, I will greatly multiply thy sorrow and thy conception; in
    sorrow thou shalt bring forth children; and thy desire shall be to thy husband, and he shall
    rule over thee. And unto Adam he said, Because thou hast hearkened unto the voice of thy
    wife, and hast eaten of the tree, of which I commanded thee, saying, Thou shalt not eat of
    it: cursed is the ground for thy sake; in sorrow shalt thou eat of it all the days of thy
    life; Thorns also and thistles shall it bring forth to thee; and thou shalt eat the herb of
    the field; In the sweat of thy face shalt thou eat bread, till thou return unto the ground;
    for out of it wast thou taken: for dust thou art, and unto dust shalt thou return. And Adam
    called his wife's name Eve; because she was the mother of all living. Unto Adam also and to
    his wife did the LORD God make coats of skins, and clothed them. And the LORD God said,
    Behold, the man is become as one of us, to know good and evil: and now, lest he put forth
    his hand, and take also of the tree of life, and eat, and live for ever: Therefore the LORD
    God sent him forth from the garden of Eden, to till the ground from whence he was taken. So
    he drove out the man; and he placed at the east of the garden of Eden Cherubims, and a
    flaming sword which turned every way, to keep the way of the tree of life. And Adam knew Eve
    his wife; and she conceived, and bare Cain, and said, I have gotten a man from the LORD. And
    she again bare his brother Abel. And Abel was a keeper of sheep, but Cain was a tiller of
    the ground. And in process of time it came to pass, that Cain brought of the fruit of the
    ground an offering unto the LORD. And Abel, he also brought of the firstlings of his flock
    and of the fat thereof. And the LORD had respect unto Abel and to his offering: But unto
    Cain and to his offering he had not respect. And Cain was very wroth, and his countenance
    fell. And the LORD said unto Cain, Why art thou wroth? and why is thy countenance fallen? If
    thou doest well, shalt thou not be accepted? and if thou doest not well, sin lieth at the
    door. And unto thee shall be his desire, and thou shalt rule over him. And Cain talked with
    Abel his brother: and it came to pass, when they were in the field, that Cain rose up
    against Abel his brother, and slew him. And the LORD said unto Cain, Where is Abel thy
    brother? And he said, I know not: Am I my brother's keeper? And he said, What hast thou
    done? the voice of thy brother's blood crieth unto me from the ground. And now art thou
    cursed from the earth, which hath opened her mouth to receive thy brother's blood from thy
    hand; When thou tillest the ground, it shall not henceforth yield unto thee her strength; a
    fugitive and a vagabond shalt thou be in the earth. And Cain said unto the LORD, My
    punishment is greater than I can bear. Behold, thou hast driven me out this day from the
    face of the earth; and from thy face shall I be hid; and I shall be a fugitive and a
    vagabond in the earth; and it shall come to pass, that every one that findeth me shall slay
    me. And the LORD said unto him, Therefore whosoever slayeth Cain, vengeance shall be taken
    on him sevenfold. And the LORD set a mark upon Cain, lest any finding him should kill him.
    And Cain went out from the presence of the LORD, and dwelt in the land of Nod, on the east
    of Eden. And Cain knew his wife; and she conceived, and bare Enoch: and he builded a city,
    and called the name of the city, after the name of his son, Enoch. And unto Enoch was born
    Irad: and Irad begat Mehujael: and Mehujael begat Methusael: and Methusael begat Lamech. And
    Lamech took unto him two wives: the name of the one was Adah, and the name of the other
    Zillah. And Adah bare Jabal: he was the father of such as dwell in tents, and of such as
    have cattle. And his brother's name was Jubal: he was the father of all such as handle the
    harp and organ. And Zillah, she also bare Tubalcain, an instructer of every artificer in
    brass and iron: and the sister of Tubalcain was Naamah. And Lamech said unto his wives, Adah
    and Zillah, Hear my voice; ye wives of Lamech, hearken unto my speech: for I have slain a
    man to my wounding, and a young man to my hurt. If Cain shall be avenged sevenfold, truly
    Lamech seventy and sevenfold. And Adam knew his wife again; and she bare a son, and called
    his name Seth: For God, said she, hath appointed me another seed instead of Abel, whom Cain
    slew. And to Seth, to him also there was born a son; and he called his name Enos: then began
    men to call upon the name of the LORD. This is the book of the generations of Adam. In the
    day that God created man, in the likeness of God made he him; Male and female created he
    them; and blessed them, and called their name Adam, in the day when they were created. And
    Adam lived an hundred and thirty years, and begat a son in his own likeness, after his
    image; and called his name Seth: And the days of Adam after he had begotten Seth were eight
    hundred years: and he begat sons and daughters: And all the days that Adam lived were nine
    hundred and thirty years: and he died. And Seth lived an hundred and five years, and begat
    Enos: And Seth lived after he begat Enos eight hundred and seven years, and begat sons and
    daughters: And all the days of Seth were nine hundred and twelve years: and he died. And
    Enos lived ninety years, and begat Cainan: And Enos lived after he begat Cainan eight
    hundred and fifteen years, and begat sons and daughters: And all the days of Enos were nine
    hundred and five years: and he died. And Cainan lived seventy years, and begat Mahalaleel:
    And Cainan lived after he begat Mahalaleel eight hundred and forty years, and begat sons and
    daughters: And all the days of Cainan were nine hundred and ten years: and he died. And
    Mahalaleel lived sixty and five years, and begat Jared: And Mahalaleel lived after he begat
    Jared eight hundred and thirty years, and begat sons and daughters: And all the days of
    Mahalaleel were eight hundred ninety and five years: and he died. And Jared lived an hundred
    sixty and two years, and he begat Enoch: And Jared lived after he begat Enoch eight hundred
    years, and begat sons and daughters: And all the days of Jared were nine hundred sixty and
    two years: and he died. And Enoch lived sixty and five years, and begat Methuselah: And
    Enoch walked with God after he begat Methuselah three hundred years, and begat sons and
    daughters: And all the days of Enoch were three hundred sixty and five years: And Enoch
    walked with God: and he was not; for God took him. And Methuselah lived an hundred eighty
    and seven years, and begat Lamech: And Methuselah lived after he begat Lamech seven hundred
    eighty and two years, and begat sons and daughters: And all the days of Methuselah were nine
    hundred sixty and nine years: and he died. And Lamech lived an hundred eighty and two years,
    and begat a son: And he called his name Noah, saying, This same shall comfort us concerning
    our work and toil of our hands, because of the ground which the LORD hath cursed. And Lamech
    lived after he begat Noah five hundred ninety and five years, and begat sons and daughters:
    And all the days of Lamech were seven hundred seventy and seven years: and he died. And Noah
    was five hundred years old: and Noah begat Shem, Ham, and Japheth. And it came to pass, when
    men began to multiply on the face of the earth, and daughters were born unto them, That the
    sons of God saw the daughters of men that they were fair; and they took them wives of all
    which they chose. And the LORD said, My spirit shall not always strive with man, for that he
    also is flesh: yet his days shall be an hundred and twenty years. There were giants in the
    earth in those days; and also after that, when the sons of God came in unto the daughters of
    men, and they bare children to them, the same became mighty men which were of old, men of
    renown. And God saw that the wickedness of man was great in the earth, and that every
    imagination of the thoughts of his heart was only evil continually. And it repented the LORD
    that he had made man on the earth, and it grieved him at his heart. And the LORD said, I
    will destroy man whom I have created from the face of the earth; both man, and beast, and
    the creeping thing, and the fowls of the air; for it repenteth me that I have made them. But
    Noah found grace in the eyes of the LORD. These are the generations of Noah: Noah was a just
    man and perfect in his generations, and Noah walked with God. And Noah begat three sons,
    Shem, Ham, and Japheth. The earth also was corrupt before God, and the earth was filled with
    violence. And God looked upon the earth, and, behold, it was corrupt; for all flesh had
    corrupted his way upon the earth. And God said unto Noah, The end of all flesh is come
    before me; for the earth is filled with violence through them; and, behold, I will destroy
    them with the earth. Make thee an ark of gopher wood; rooms shalt thou make in the ark, and
    shalt pitch it within and without with pitch. And this is the fashion which thou shalt make
    it of: The length of the ark shall be three hundred cubits, the breadth of it fifty cubits,
    and the height of it thirty cubits. A window shalt thou make to the ark, and in a cubit
    shalt thou finish it above; and the door of the ark shalt thou set in the side thereof; with
    lower, second, and third stories shalt thou make it. And, behold, I, even I, do bring a
    flood of waters upon the earth, to destroy all flesh, wherein is the breath of life, from
    under heaven; and every thing that is in the earth shall die. But with thee will I establish
    my covenant; and thou shalt come into the ark, thou, and thy sons, and thy wife, and thy
    sons' wives with thee. And of every living thing of all flesh, two of every sort shalt thou
    bring into the ark, to keep them alive with thee; they shall be male and female. Of fowls
    after their kind, and of cattle after their kind, of every creeping thing of the earth after
    his kind, two of every sort shall come unto thee, to keep them alive. And take thou unto
    thee of all food that is eaten, and thou shalt gather it to thee; and it shall be for food
    for thee, and for them. Thus did Noah; according to all that God commanded him, so did he.
    And the LORD said unto Noah, Come thou and all thy house into the ark; for thee have I seen
    righteous before me in this generation. Of every clean beast thou shalt take to thee by
    sevens, the male and his female: and of beasts that are not clean by two, the male and his
    female. Of fowls also of the air by sevens, the male and the female; to keep seed alive upon
    the face of all the earth. For yet seven days, and I will cause it to rain upon the earth
    forty days and forty nights; and every living substance that I have made will I destroy from
    off the face of the earth. And Noah did according unto all that the LORD commanded him. And
    Noah was six hundred years old when the flood of waters was upon the earth. And Noah went
    in, and his sons, and his wife, and his sons' wives with him, into the ark, because of the
    waters of the flood. Of clean beasts, and of beasts that are not clean, and of fowls, and of
    every thing that creepeth upon the earth, There went in two and two unto Noah into the ark,
    the male and the female, as God had commanded Noah. And it came to pass after seven days,
    that the waters of the flood were upon the earth. In the six hundredth year of Noah's life,
    in the second month, the seventeenth day of the month, the same day were all the fountains
    of the great deep broken up, and the windows of heaven were opened. And the rain was upon
    the earth forty days and forty nights. In the selfsame day entered Noah, and Shem, and Ham,
    and Japheth, the sons of Noah, and Noah's wife, and the three wives of his sons with them,
    into the ark; They, and every beast after his kind, and all the cattle after their kind, and
    every creeping thing that creepeth upon the earth after his kind, and every fowl after his
    kind, every bird of every sort. And they went in unto Noah into the ark, two and two of all
    flesh, wherein is the breath of life. And they that went in, went in male and female of all
    flesh, as God had commanded him: and the LORD shut him in. And the flood was forty days upon
    the earth; and the waters increased, and bare up the ark, and it was lift up above the
    earth. And the waters prevailed, and were increased greatly upon the earth; and the ark went
    upon the face of the waters. And the waters prevailed exceedingly upon the earth; and all
    the high hills, that were under the whole heaven, were covered. Fifteen cubits upward did
    the waters prevail; and the mountains were covered. And all flesh died that moved upon the
    earth, both of fowl, and of cattle, and of beast, and of every creeping thing that creepeth
    upon the earth, and every man: All in whose nostrils was the breath of life, of all that was
    in the dry land, died. And every living substance was destroyed which was upon the face of
    the ground, both man, and cattle, and the creeping things, and the fowl of the heaven; and
    they were destroyed from the earth: and Noah only remained alive, and they that were with
    him in the ark. And the waters prevailed upon the earth an hundred and fifty days. And God
    remembered Noah, and every living thing, and all the cattle that was with him in the ark:
    and God made a wind to pass over the earth, and the waters asswaged; The fountains also of
    the deep and the windows of heaven were stopped, and the rain from heaven was restrained;
    And the waters returned from off the earth continually: and after the end of the hundred and
    fifty days the waters were abated. And the ark rested in the seventh month, on the
    seventeenth day of the month, upon the mountains of Ararat. And the waters decreased
    continually until the tenth month: in the tenth month, on the first day of the month, were
    the tops of the mountains seen. And it came to pass at the end of forty days, that Noah
    opened the window of the ark which he had made: And he sent forth a raven, which went forth
    to and fro, until the waters were dried up from off the earth. Also he sent forth a dove
    from him, to see if the waters were abated from off the face of the ground; But the dove
    found no rest for the sole of her foot, and she returned unto him into the ark, for the
    waters were on the face of the whole earth: then he put forth his hand, and took her, and
    pulled her in unto him into the ark. And he stayed yet other seven days; and again he sent
    forth the dove out of the ark; And the dove came in to him in the evening; and, lo, in her
    mouth was an olive leaf pluckt off: so Noah knew that the waters were abated from off the
    earth. And he stayed yet other seven days; and sent forth the dove; which returned not again
    unto him any more. And it came to pass in the six hundredth and first year, in the first
    month, the first day of the month, the waters were dried up from off the earth: and Noah
    removed the covering of the ark, and looked, and, behold, the face of the ground was dry.
    And in the second month, on the seven and twentieth day of the month, was the earth dried.
    And God spake unto Noah, saying, Go forth of the ark, thou, and thy wife, and thy sons, and
    thy sons' wives with thee. Bring forth with thee every living thing that is with thee, of
    all flesh, both of fowl, and of cattle, and of every creeping thing that creepeth upon the
    earth; that they may breed abundantly in the earth, and be fruitful, and multiply upon the
    earth. And Noah went forth, and his sons, and his wife, and his sons' wives with him: Every
    beast, every creeping thing, and every fowl, and whatsoever creepeth upon the earth, after
    their kinds, went forth out of the ark. And Noah builded an altar unto the LORD; and took of
    every clean beast, and of every clean fowl, and offered burnt offerings on the altar. And
    the LORD smelled a sweet savour; and the LORD said in his heart, I will not again curse the
    ground any more for man's sake; for the imagination of man's heart is evil from his youth;
    neither will I again smite any more every thing living, as I have done. While the earth
    remaineth, seedtime and harvest, and cold and heat, and summer and winter, and day and night
    shall not cease. And God blessed Noah and his sons, and said unto them, Be fruitful, and
    multiply, and replenish the earth. And the fear of you and the dread of you shall be upon
    every beast of the earth, and upon every fowl of the air, upon all that moveth upon the
    earth, and upon all the fishes of the sea; into your hand are they delivered. Every moving
    thing that liveth shall be meat for you; even as the green herb have I given you all things.
    But flesh with the life thereof, which is the blood thereof, shall ye not eat. And surely
    your blood of your lives will I require; at the hand of every beast will I require it, and
    at the hand of man; at the hand of every man's brother will I require the life of man. Whoso
    sheddeth man's blood, by man shall his blood be shed: for in the image of God made he man.
    And you, be ye fruitful, and multiply; bring forth abundantly in the earth, and multiply
    therein. And God spake unto Noah, and to his sons with him, saying, And I, behold, I
    establish my covenant with you, and with your seed after you; And with every living creature
    that is with you, of the fowl, of the cattle, and of every beast of the earth with you; from
    all that go out of the ark, to every beast of the earth. And I will establish my covenant
    with you; neither shall all flesh be cut off any more by the waters of a flood; neither
    shall there any more be a flood to destroy the earth. And God said, This is the token of the
    covenant which I make between me and you and every living creature that is with you, for
    perpetual generations: I do set my bow in the cloud, and it shall be for a token of a
    covenant between me and the earth. And it shall come to pass, when I bring a cloud over the
    earth, that the bow shall be seen in the cloud: And I will remember my covenant, which is
    between me and you and every living creature of all flesh; and the waters shall no more
    become a flood to destroy all flesh. And the bow shall be in the cloud; and I will look upon
    it, that I may remember the everlasting covenant between God and every living creature of
    all flesh that is upon the earth. And God said unto Noah, This is the token of the covenant,
    which I have established between me and all flesh that is upon the earth. And the sons of
    Noah, that went forth of the ark, were Shem, and Ham, and Japheth: and Ham is the father of
    Canaan. These are the three sons of Noah: and of them was the whole earth overspread. And
    Noah began to be an husbandman, and he planted a vineyard: And he drank of the wine, and was
    drunken; and he was uncovered within his tent. And Ham, the father of Canaan, saw the
    nakedness of his father, and told his two brethren without. And Shem and Japheth took a
    garment, and laid it upon both their shoulders, and went backward, and covered the nakedness
    of their father; and their faces were backward, and they saw not their father's nakedness.
    And Noah awoke from his wine, and knew what his younger son had done unto him. And he said,
    Cursed be Canaan; a servant of servants shall he be unto his brethren. And he said, Blessed
    be the LORD God of Shem; and Canaan shall be his servant. God shall enlarge Japheth, and he
    shall dwell in the tents of Shem; and Canaan shall be his servant. And Noah lived after the
    flood three hundred and fifty years. And all the days of Noah were nine hundred and fifty
    years: and he died.

    """
}
