"""Word lists the tasks draw from: names, places, facts, and things the model must decline."""

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文玉红建国春梅志海燕雪云飞龙凤琳佳欣宇浩然子轩雨涵思远晓东方天亮安乐心怡家豪一鸣"
NAMES = """李明 王芳 张伟 刘洋 陈静 杨丽 赵强 黄磊 周涛 吴敏 徐勇 孙艳 胡杰 朱娟 高超 林霞 何平 郭刚 马英 罗华 梁文 宋玉 郑红 谢军 韩梅 唐国庆 冯小雨
于海燕 董建国 萧晓东 程子轩 曹雪 袁浩然 邓佳欣 许志明 傅天亮 沈安 曾怡 彭飞 吕思远 苏云 蒋龙""".split()
NICK = "明红刚丽华芳强美智慧云月星雨雪冰风竹松梅兰菊石溪川舟灯墨书琴棋画诗木禾麦豆鹿鹤雁"
PERSONA_TAIL = ["小{}", "小{}", "阿{}", "{}老师"]
ENGLISH_NAMES = """Tom Amy Bob Eve Jack Lucy Mary John Anna Paul Rose Mike Jane Mark Lily Peter Alice David Sarah Kevin Emma
Henry Grace Oscar Nina Leo Clara Simon Ruby Felix Laura Adam Helen Victor Diana Martin Sophie Frank Julia Oliver""".split()

CITIES = """北京 上海 天津 重庆 广州 深圳 杭州 南京 苏州 成都 武汉 西安 长沙 郑州 济南 青岛 大连 沈阳 长春 哈尔滨 石家庄 太原
合肥 福州 厦门 南昌 南宁 海口 贵阳 昆明 拉萨 兰州 西宁 银川 无锡 宁波 温州 桂林 洛阳 开封 扬州 珠海""".split()
BIG_CITIES = "北京 上海 天津 重庆 广州 深圳 杭州 南京 苏州 成都 武汉 西安 长沙 青岛 大连 厦门 昆明 兰州 桂林 洛阳".split()
ENGLISH_CITIES = """London Paris Berlin Rome Madrid Tokyo Beijing Boston Chicago Sydney Dublin Oslo Vienna Prague Cairo
Toronto Seattle Moscow Athens Lisbon Shanghai Warsaw Delhi Lima Geneva""".split()
FOODS = "苹果 香蕉 西瓜 葡萄 桃子 草莓 面条 饺子 米饭 包子 馒头 豆腐 火锅 鱼 牛肉 鸡蛋 汤圆 月饼".split()
COLOURS = "红色 黄色 蓝色 绿色 白色 黑色 紫色 橙色 灰色 粉色".split()

# country, capital, country (en), capital (en)
CAPITALS = [row.split() for row in """中国 北京 China Beijing|日本 东京 Japan Tokyo|韩国 首尔 Korea Seoul|法国 巴黎 France Paris
英国 伦敦 England London|德国 柏林 Germany Berlin|意大利 罗马 Italy Rome|西班牙 马德里 Spain Madrid|葡萄牙 里斯本 Portugal Lisbon
俄罗斯 莫斯科 Russia Moscow|美国 华盛顿 America Washington|加拿大 渥太华 Canada Ottawa|墨西哥 墨西哥城 Mexico Mexico-City
巴西 巴西利亚 Brazil Brasilia|阿根廷 布宜诺斯艾利斯 Argentina Buenos-Aires|智利 圣地亚哥 Chile Santiago|秘鲁 利马 Peru Lima
古巴 哈瓦那 Cuba Havana|埃及 开罗 Egypt Cairo|肯尼亚 内罗毕 Kenya Nairobi|印度 新德里 India New-Delhi|泰国 曼谷 Thailand Bangkok
越南 河内 Vietnam Hanoi|蒙古 乌兰巴托 Mongolia Ulaanbaatar|伊朗 德黑兰 Iran Tehran|伊拉克 巴格达 Iraq Baghdad|土耳其 安卡拉 Turkey Ankara
希腊 雅典 Greece Athens|荷兰 阿姆斯特丹 Netherlands Amsterdam|比利时 布鲁塞尔 Belgium Brussels|瑞士 伯尔尼 Switzerland Bern
奥地利 维也纳 Austria Vienna|瑞典 斯德哥尔摩 Sweden Stockholm|挪威 奥斯陆 Norway Oslo|芬兰 赫尔辛基 Finland Helsinki
丹麦 哥本哈根 Denmark Copenhagen|波兰 华沙 Poland Warsaw|匈牙利 布达佩斯 Hungary Budapest|捷克 布拉格 Czechia Prague
澳大利亚 堪培拉 Australia Canberra|新西兰 惠灵顿 New-Zealand Wellington|爱尔兰 都柏林 Ireland Dublin""".replace("\n", "|").split("|")]
CAPITALS = [[w.replace("-", " ") for w in row] for row in CAPITALS]

# province -> seat
PROVINCES = [row.split() for row in """河北 石家庄|山西 太原|辽宁 沈阳|吉林 长春|黑龙江 哈尔滨|江苏 南京|浙江 杭州|安徽 合肥|福建 福州|江西 南昌
山东 济南|河南 郑州|湖北 武汉|湖南 长沙|广东 广州|海南 海口|四川 成都|贵州 贵阳|云南 昆明|陕西 西安|甘肃 兰州|青海 西宁""".replace("\n", "|").split("|")]

OPPOSITES = [tuple(w) for w in """大小 高低 长短 多少 快慢 冷热 黑白 远近 新旧 好坏 轻重 上下 左右 前后 里外 早晚 开关 来去 东西 南北
真假 美丑 胖瘦 厚薄 深浅 硬软 强弱 胜败 问答 买卖 生死 哭笑 明暗 干湿 粗细 男女 天地 出入 始终""".split()]
ENGLISH_OPPOSITES = [tuple(w.split("/")) for w in """big/small tall/short hot/cold fast/slow new/old good/bad up/down left/right
black/white day/night open/closed early/late rich/poor happy/sad hard/soft light/dark wet/dry near/far""".split()]

# question variants | answer ; a fact is held out only in some of its phrasings
SHORT_FACTS = [
    (["一年有几个月", "一年一共有多少个月", "一年包含几个月"], "十二个月"),
    (["一年有几个季节", "一年有多少个季节", "一年分几个季节"], "四个季节"),
    (["一周有几天", "一个星期有几天", "一星期有多少天"], "七天"),
    (["一天有多少小时", "一天有几个小时", "一昼夜有多少小时"], "二十四小时"),
    (["一小时有多少分钟", "一个小时有几分钟", "一小时等于多少分钟"], "六十分钟"),
    (["一分钟有多少秒", "一分钟有几秒", "一分钟等于多少秒"], "六十秒"),
    (["太阳从哪边升起", "太阳从哪个方向升起", "日出在哪个方向"], "东方"),
    (["太阳从哪边落下", "太阳从哪个方向落下", "日落在哪个方向"], "西方"),
    (["水在多少度结冰", "水多少度会结冰", "水的冰点是多少度"], "零度"),
    (["水在多少度沸腾", "水多少度会烧开", "水的沸点是多少度"], "一百度"),
    (["天空是什么颜色", "晴天的天空是什么颜色", "晴朗的天空是什么颜色"], "蓝色"),
    (["雪是什么颜色", "雪花是什么颜色", "冬天的雪是什么颜色"], "白色"),
    (["草是什么颜色", "小草是什么颜色", "春天的草是什么颜色"], "绿色"),
    (["煤是什么颜色", "煤炭是什么颜色", "煤块是什么颜色"], "黑色"),
    (["中国最长的河是什么", "中国最长的河流是哪条", "中国哪条河最长"], "长江"),
    (["世界最高的山是什么", "世界上最高的山峰是哪座", "世界上哪座山最高"], "珠穆朗玛峰"),
    (["世界上最大的海洋是什么", "世界最大的洋是哪个", "哪个大洋最大"], "太平洋"),
    (["世界上最大的动物是什么", "地球上最大的动物是什么", "哪种动物最大"], "蓝鲸"),
    (["跑得最快的动物是什么", "陆地上跑得最快的动物是什么", "哪种动物跑得最快"], "猎豹"),
    (["脖子最长的动物是什么", "什么动物脖子最长", "哪种动物脖子最长"], "长颈鹿"),
    (["蜘蛛有几条腿", "一只蜘蛛有几条腿", "蜘蛛有多少条腿"], "八条腿"),
    (["猫有几条腿", "一只猫有几条腿", "猫有多少条腿"], "四条腿"),
    (["鸟有几只翅膀", "一只鸟有几只翅膀", "小鸟有多少只翅膀"], "两只翅膀"),
    (["三角形有几条边", "三角形有多少条边", "一个三角形有几条边"], "三条边"),
    (["正方形有几条边", "正方形有多少条边", "一个正方形有几条边"], "四条边"),
    (["中国的国宝是什么动物", "中国的国宝动物是什么", "哪种动物是中国的国宝"], "大熊猫"),
    (["端午节吃什么", "过端午节要吃什么", "人们端午节吃什么"], "粽子"),
    (["中秋节吃什么", "过中秋节要吃什么", "人们中秋节吃什么"], "月饼"),
    (["元宵节吃什么", "过元宵节要吃什么", "人们元宵节吃什么"], "汤圆"),
    (["《红楼梦》的作者是谁", "谁写了《红楼梦》", "《红楼梦》是谁写的"], "曹雪芹"),
    (["《西游记》的作者是谁", "谁写了《西游记》", "《西游记》是谁写的"], "吴承恩"),
    (["《三国演义》的作者是谁", "谁写了《三国演义》", "《三国演义》是谁写的"], "罗贯中"),
    (["《水浒传》的作者是谁", "谁写了《水浒传》", "《水浒传》是谁写的"], "施耐庵"),
    (["活字印刷术是谁发明的", "谁发明了活字印刷术", "活字印刷的发明人是谁"], "毕昇"),
    (["造纸术是谁改进的", "谁改进了造纸术", "改进造纸术的人是谁"], "蔡伦"),
]

CODE = ["快速排序", "冒泡排序", "二分查找", "斐波那契数列", "网页爬虫", "计算器", "登录页面", "贪吃蛇游戏", "链表", "二叉树", "正则表达式", "数据库查询", "聊天机器人", "读取文件", "单元测试", "猜数字游戏"]
LANGUAGES = ["python", "Python", "Java", "C", "C++", "JavaScript", "Go", "Rust", "SQL", "HTML", "PHP", "Shell"]
TOPICS = """人工智能 环境保护 量子力学 股票 房价 教育改革 历史人物 爱情 友谊 旅游 健康饮食 减肥 失眠 面试 求职 考研 高考 经济危机
全球变暖 区块链 比特币 新能源汽车 足球 篮球 电影 音乐 小说 哲学 心理学 医学 法律 合同 税收 保险 理财 创业 营销 广告 管理 领导力
时间管理 写作技巧 摄影 烹饪 红烧肉 咖啡 茶道 书法 国画 京剧 围棋 象棋 游戏 手机 电脑 操作系统 网络安全 机器学习 深度学习 神经网络
大数据 云计算 物联网 航天 黑洞 恐龙 进化论 基因 病毒 疫苗 癌症 高血压 糖尿病 抑郁 家庭关系 婚姻 育儿 宠物 园艺 装修 搬家 租房
相对论 微积分 线性代数 概率论 化学反应 光合作用 板块运动 台风 地震 火山 石油 煤矿 水电 核能 太阳能 风能 农业 工业 服务业 外交 战争""".split()
ENGLISH_TOPICS = """climate change|machine learning|black holes|the stock market|a birthday party|a job interview|the French Revolution
quantum physics|healthy food|my garden|a love story|world history|modern art|good leadership|a business plan|a trip to Hawaii|dinosaurs
football|chess openings|a new phone|an old car|the ocean|space travel|vaccines|sleep problems|tax law|a short poem|a long novel
data structures|computer networks|the meaning of life|artificial intelligence|electric cars|online shopping|my neighbour|his homework
the weather tomorrow|a rainy day|social media|photography|cooking pasta|a strange dream|the human brain|bank loans|a broken window""".replace("\n", "|").split("|")
ENGLISH_WORDS = """the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you
were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other
time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well
back through years much where your way down should because long each just state those people too how little good world make very year still
see own work men day get here old life both between being under three never know same last another while us might great go come since against
right came take used himself few house use place during high without again home around small however found mrs part school general once upon
water room fact though less public put think almost hand enough far took head yet government system better set told nothing night end why
called find going look asked later knew point next program city business give group toward young days let side social given present several
order national possible rather second face per among form often things looked early white case become large big need four within felt along
children saw best church ever least power development light thing seemed family interest want members mind country area others done turned
although open god service certain kind problem began different door thus help sense means whole matter table river garden winter paper letter
machine window doctor market teacher apple orange summer music picture letter train station yellow button quick brown fox jumps lazy dog""".split()
